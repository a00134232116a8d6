"""The check for TPUs: what it refuses without a compiler, and with one what small programs come to."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import tpu
from experiments.compiled import topology
from experiments.compiled.batches import largest_batch, sizes_around
from experiments.compiled.bounds import bounds
from experiments.compiled.programs import Compiled, TooLarge, sizes_of
from experiments.compiled.topology import require_name
from fjdl.analysis import chip_of
from fjdl.errors import UsageError
from tests.experiments.support import USAGE, Command, sentence
from tests.support import ROOT

HAS_COMPILER = importlib.util.find_spec("libtpu") is not None
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="libtpu, the TPU compiler, is not installed")


@pytest.mark.parametrize("name", ["v5e:2x2", "v5e:4x4", "v6e:2x4", "v4:2x2x1", "v5p:2x2x2", "tpu7x:2x2x1", " V5E:2x2"])
def test_names_of_slices(name: str) -> None:
    assert require_name(name) == name.strip().lower()


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("v7x:2x2x1", r"got 'v7x:2x2x1', did you mean tpu7x:2x2x1"),
        ("trillium", r"got 'trillium', did you mean v6e:2x4|v6e:1x1"),
        ("v5litepod:2x2", r"did you mean v5e:2x2"),
        ("h100", r"topology must be one such as .*v5e:4x4.*tpu7x:2x2x4, got 'h100'$"),
        ("", r"got ''$"),
        ("v5e:2x2x1", r"of a v5e slice must have 2 sides, as v5e:1x1, v5e:2x2, .* got 'v5e:2x2x1'"),
        ("v4:2x2", r"must have 3 sides, as v4:2x2x1"),
        ("v5e:0x2", r"must have 2 sides"),
        ("v5e", r"must have 2 sides"),
    ],
)
def test_other_names_are_refused_with_those_that_are_known(name: str, rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        require_name(name)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--topology", "v5e:2"), "must have 2 sides"),
        (("--topology", "v5e:2x2"), "the TPU compiler is not installed"),
        (("--batch-size", "0"), "batch_size must be at least 1, got 0"),
    ],
)
def test_what_the_command_refuses_without_a_compiler(
    arguments: tuple[str, ...], rule: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda name: None)
    outcome = command("compiled.child", "configs/digits_mlp.py", *arguments)
    assert outcome.status == USAGE
    assert rule in sentence(outcome)


def test_options_are_explained_and_a_config_is_asked_for(command: Command) -> None:
    assert "check" in command("tpu", "--help").out
    assert command("tpu", "check").status == USAGE
    outcome = command("tpu", "check", "configs")
    assert outcome.status == USAGE
    assert sentence(outcome).startswith("a config is needed, such as configs/digits_lenet.py")


def test_help_shows_the_options_of_the_config_too(command: Command) -> None:
    outcome = command("compiled.child", "configs/digits_mlp.py", "--help")
    assert outcome.status == 0
    assert all(flag in outcome.out for flag in ("--topology", "--sweep-batch", "--against", "--hidden", "--precision"))


def test_a_compiler_that_ends_without_a_word_is_reported_in_a_sentence(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, str]] = []

    def killed(words: list[str], *, env: dict[str, str], check: bool) -> subprocess.CompletedProcess[str]:
        asked.append(env)
        return subprocess.CompletedProcess(words, -6)

    monkeypatch.setattr(tpu.subprocess, "run", killed)
    outcome = command("tpu", "check", "configs/digits_mlp.py")
    assert outcome.status == 1
    assert sentence(outcome).startswith("the TPU compiler ended with SIGABRT in the program that was named last")
    assert (asked[0]["JAX_PLATFORMS"], asked[0]["ALLOW_MULTIPLE_LIBTPU_LOAD"]) == ("cpu", "true")


def test_the_command_imports_no_jax() -> None:
    code = "import sys, experiments.tpu; print(*[name for name in ('jax', 'libtpu', 'flax') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("message", "asked", "available"),
    [
        (
            "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (18.63G) "
            "exceeds available HBM (15.75G).",
            18.63,
            15.75,
        ),
        (
            "Ran out of memory in memory space hbm. Used 17.50G of 15.75G hbm. Exceeded hbm capacity by 1.75G.",
            17.5,
            15.75,
        ),
    ],
)
def test_the_message_of_a_program_that_is_too_large(message: str, asked: float, available: float) -> None:
    assert sizes_of(message) == (int(asked * 2**30), int(available * 2**30))
    assert sizes_of("something else") == (None, None)


@pytest.mark.parametrize(
    ("fits", "refused", "unit", "found", "compilations"),
    [
        (1000, 4096, 4, 960, 6),  # 2048, 1024, 512, 768, 896, 960, and 1000 is an eighth away at most
        (100, 128, 16, 96, 3),  # 64, 96, 112
        (3, 8, 4, None, 1),  # 4
        (0, 4, 4, None, 0),  # nothing is smaller
        (4, 4096, 4, None, 8),  # 2048 to 16
    ],
)
def test_the_search_for_the_largest_batch(
    fits: int, refused: int, unit: int, found: int | None, compilations: int
) -> None:
    tried: list[int] = []

    def compile_at(batch: int) -> Compiled | TooLarge:
        tried.append(batch)
        return TooLarge(batch=batch, asked=None, available=None) if batch > fits else Compiled.__new__(Compiled)

    result = largest_batch(compile_at, refused=refused, unit=unit)
    assert result.compilations == len(tried) == compilations
    assert all(batch % unit == 0 and batch < refused for batch in tried)
    assert len(set(tried)) == len(tried)
    assert result.batch == found


def test_batches_of_a_sweep_are_those_that_the_devices_share() -> None:
    assert sizes_around(256, 4) == [64, 128, 256, 512, 1024, 2048]
    assert sizes_around(16, 16) == [16, 32, 64, 128]
    assert sizes_around(24, 16) == [48, 96, 192]


def test_bounds_by_hand() -> None:
    chip = chip_of("TPU v5 lite")  # 197 TFLOP/s, 819 GB/s, 1.5 GHz
    assert chip
    found = bounds(flops=1.97e12, traffic=81.9e9, cycles=300_000_000, model_flops=1.576e12, chip=chip)
    assert (found.arithmetic, found.traffic, found.priced) == pytest.approx((0.01, 0.1, 0.2))
    assert (found.limit, found.steps) == ("memory traffic", pytest.approx(10))
    assert found.intensity == pytest.approx(1.97e12 / 81.9e9)
    assert (found.mfu, found.priced_mfu) == pytest.approx((0.08, 0.04))  # 8 ms of arithmetic in 100 and in 200 ms
    busy = bounds(flops=1.97e12, traffic=1.0, cycles=0, model_flops=1.97e12, chip=chip)
    assert (busy.limit, busy.mfu, busy.priced_mfu) == ("arithmetic", pytest.approx(1), None)


@pytest.mark.slow
@needs_compiler
def test_small_programs_for_a_slice_of_four(tmp_path: Path) -> None:
    for name, steps, evaluated in (("iris_mlp", 7, 1), ("digits_lenet", 19, 2)):
        path = tmp_path / f"{name}.json"
        command = [sys.executable, "-m", "experiments.tpu", "check", f"configs/{name}.py", "--precision", "bfloat16"]
        done = subprocess.run([*command, "--json", str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        facts = json.loads(path.read_text())
        assert (facts["setting"]["devices"], facts["setting"]["hosts"], facts["setting"]["chip"]) == (4, 1, "v5e")
        training, evaluation = facts["programs"]
        assert (training["steps"], evaluation["steps"]) == (steps, evaluated)
        assert training["deviations"] == []
        assert {row["kind"] for row in training["collectives"]} == {"all-reduce"}
        assert 0 < training["memory"]["peak"] < 20e6
        assert training["kinds"]["dot"]["backward"] > 0
        assert 10_000 < sum(price["forward"] + price["backward"] for price in training["kinds"].values()) < 1_000_000
        assert "every product is bfloat16" in done.stdout
