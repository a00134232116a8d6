"""From the text of a program to what is printed, and what a check does with programs that are too large."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from experiments.command import load_config
from experiments.compiled import programs
from experiments.compiled.batches import sweep
from experiments.compiled.job import Job
from experiments.compiled.kinds import PATTERNS
from experiments.compiled.programs import Compiled, TooLarge, read
from experiments.compiled.report import report
from experiments.compiled.topology import Slice
from experiments.compiled.twins import comparison
from fjdl.analysis import Chip, chip_of
from fjdl.errors import StorageError, UsageError
from fjdl.train.prepare import prepare
from tests.experiments.compiled.program import PROGRAM
from tests.support import ROOT

SIZES = SimpleNamespace(
    argument_size_in_bytes=3_000_000, output_size_in_bytes=1_000_000, alias_size_in_bytes=900_000,
    temp_size_in_bytes=20_000_000, generated_code_size_in_bytes=400_000, peak_memory_in_bytes=21_000_000,
)  # fmt: skip


class Program:
    """What `lowered.compile()` gives, as far as it is read."""

    def as_text(self) -> str:
        return PROGRAM

    def memory_analysis(self) -> Any:
        return SIZES

    def cost_analysis(self) -> dict[str, float]:
        return {"flops": 1.97e9, "bytes accessed": 8.19e9}


def v5e() -> Chip:
    chip = chip_of("TPU v5 lite")
    assert chip
    return chip


def facts(batch: int = 256, precision: str = "bfloat16") -> Compiled:
    return read(
        Program(), part="training", steps=3, batch=batch, precision=precision, seconds=12.3, devices=4,
        model_flops=3.94e9, data=(("u8", 1000 * 32 * 32 * 3),),
    )  # fmt: skip


def test_everything_is_told() -> None:
    lines = [" ".join(line.split()) for line in report(facts(), v5e(), top=2).splitlines()]
    for line in (
        "training: 3 steps a call, 256 examples, 64 a device, bfloat16; lowered and compiled in 12 s",
        "memory of a device: arguments 3.0 MB, temporaries 20.0 MB, outputs beside them 100.0 kB, code 400.0 kB; "
        "peak 21.0 MB",
        "held while it runs 23.5 MB, free 17.16 GB of 17.18 GB",
        "data u8[1000,32,32,3]: 3.1 MB, 1.02 x with padding",
        "copy of the data u8[1000,32,32,3]: 12.3 MB, 4.00 x with padding",
        "a step of a device: 1.97 GFLOP, 0.500 of 3 x 2 x forward MACs; 8190 MB accessed",
        # 8.19 GB at 819 GB/s are 10 ms, in which 3.94 GFLOP are 0.2 % of the peak
        "0.2 FLOP/byte: bound by memory traffic, at most 100 steps/s and 0.2 % of 197 TFLOP/s (v5e)",
        "3,397 estimated cycles, 0.002265 ms at 1.5 GHz: 4.416e+05 steps/s, 883.1 %",
        "convolution 1,000 2,000 3,000 88.3 % 2",
        "and 16 a call outside of its steps",
        "1 all-reduce of f32, 9.2 kB, synchronous",
        "1 all-gather of f32, 4.1 kB, asynchronous, 1 of 1 with work meanwhile",
        "1 select-and-scatter (pool), 262.1 kB of results",
        "1 convolution: f32 x bf16, precision default, such as "
        "jit(_epoch)/while/body/transpose(jvp(Net))/conv/conv_general_dilated",
        "4 rounds: jit(_epoch)/while/body/augment/vmap(dynamic_slice)",
    ):
        assert line in lines
    assert sum(line.startswith(("2,000 backward", "1,000 forward")) for line in lines) == 2


def test_both_sides_of_a_comparison_and_their_ratio() -> None:
    other = facts()
    rows = {label: cells for label, *cells in comparison(facts(), other)}
    assert rows["GFLOP"] == ["1.97", "1.97", "1.000"]
    assert rows["collectives"] == ["2", "2", "1.000"]
    assert rows["  convolution, backward, k"] == ["2.0", "2.0", "1.000"]
    assert "  norm, backward, k" not in rows


def test_a_sweep_ends_at_the_first_batch_that_does_not_fit() -> None:
    def compile_at(batch: int) -> Compiled | TooLarge:
        return facts(batch) if batch < 512 else TooLarge(batch=batch, asked=20 * 10**9, available=17 * 10**9)

    head, first, second, end = sweep(compile_at, [128, 256, 512, 1024], v5e())
    assert head.split()[:3] == ["batch", "a", "device"]
    assert first.split()[:2] == ["128", "32"]
    assert "25,600" in second  # examples in a second, 100 steps of 256
    assert end == "a batch of 512 does not fit: it asks for 20.00 GB of the 17.00 GB of a device"


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Job:
    """A check whose programs fit up to a batch of 40; nothing is compiled."""
    recipe = load_config(ROOT / "configs" / "iris_mlp.py")(batch_size=64)
    where = Slice("v5e:2x2", [object()] * 4, 1, v5e())

    def compiled(_: Job, part: str, batch: int | None = None) -> Compiled | TooLarge:
        size = batch or 64
        return TooLarge(batch=size, asked=18 * 10**9, available=16 * 10**9) if size > 40 else facts(size)

    monkeypatch.setattr(Job, "compile", compiled)
    return Job(recipe, where)


def test_a_program_that_is_too_large_is_refused_with_the_batch_that_fits(job: Job) -> None:
    rule = (
        "a batch of 64 does not fit: it asks for 18.00 GB of the 16.00 GB of a device; the largest found that fits is "
        "--batch-size 40 (4 programs were compiled to find it)"  # 32, 48, 40, 44
    )
    with pytest.raises(UsageError, match=rule.replace("(", r"\(").replace(")", r"\)")):
        job.part("training")
    with pytest.raises(UsageError, match="the evaluation takes four training batches"):
        job.part("evaluation")


def test_texts_are_kept_where_they_are_wanted(job: Job, tmp_path: Path) -> None:
    job.keep("training", "text")
    Job(job.recipe, job.where, hlo=tmp_path / "texts").keep("too large", "")
    Job(job.recipe, job.where, hlo=tmp_path / "texts").keep("training", "text")
    assert (tmp_path / "texts" / "training.hlo").read_text() == "text"
    assert len(list((tmp_path / "texts").iterdir())) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="must be a folder that can be written"):
        Job(job.recipe, job.where, hlo=tmp_path / "file").keep("training", "text")


def named(name: str) -> Iterator[str]:
    yield from (kind for kind, pattern in PATTERNS if pattern.search(name))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("jit(_step)/guard/global_norm/reduce_sum", "guard"),
        ("jit(_epoch)/while/body/optimizer/mul", "optimizer"),
        ("jit(_epoch)/while/body/augment/vmap()/gather", "augmentation"),
        ("jit(whole)/while/body/metrics/cond/reduce_sum", "metrics"),
        ("jit(_epoch)/while/body/inputs/jit(_take)/gather", "input"),
        ("jit(_step)/jvp(inputs)/sub", "input"),
        ("jit(_step)/transpose(jvp(ResNet))/stage1/block0/norm1/mul", "norm"),
        ("jit(step)/jvp(ResNet)/BatchNorm_0/rsqrt", "norm"),
        ("jit(_step)/jvp(ResNet)/stem/pool/reduce_window_max", "pool"),
        ("jit(_step)/transpose(jvp(loss))/mul", "loss"),
        ("jit(_step)/jvp(LeNet5)/jit(relu)/max", "activation"),
        ("jit(_step)/jvp(MLP)/Dropout_0/select_n", "activation"),
    ],
)
def test_kinds_by_name(name: str, kind: str) -> None:
    assert next(named(name)) == kind


def test_a_program_that_fits_only_without_its_arguments_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    given = SimpleNamespace(**{**vars(SIZES), "argument_size_in_bytes": 10 * 2**30, "temp_size_in_bytes": 7 * 2**30})
    made = Program()
    monkeypatch.setattr(made, "memory_analysis", lambda: given, raising=False)
    monkeypatch.setattr(programs, "compile_call", lambda call, batch: made)
    prepared = prepare(load_config(ROOT / "configs" / "iris_logistic.py")(), devices=jax.devices()[:4])
    facts, _ = programs.compile_part(prepared, "training", Slice("v5e:2x2", [object()] * 4, 1, v5e()))
    assert facts == TooLarge(batch=16, asked=17 * 2**30 + 500_000, available=16 * 2**30)
