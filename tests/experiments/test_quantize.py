import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.quantizations.kernels import quantizers
from experiments.quantize import Options, median_milliseconds
from fjdl.train.documents import QUANTIZED, read_sealed
from fjdl.train.json_files import read_json
from tests.experiments.support import Command, snapshot

KERNEL, BIAS = 64 * 10, 10


def rows_of(run: Path) -> list[dict[str, Any]]:
    return read_sealed(run / "quantized.json", QUANTIZED)["rows"]


@pytest.fixture(scope="module")
def run(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(trained_run, tmp_path_factory.mktemp("quantized") / "run"))


@pytest.mark.by_day_on_pin(1)
def test_four_forms_are_compared_on_the_test_part(run: Path, command: Command) -> None:
    before = snapshot(run)
    outcome = command("quantize", run, "--repeats", "3")
    assert outcome.status == 0
    rows = {row.pop("parameters"): row for row in rows_of(run)}
    assert list(rows) == ["float32", "bfloat16", "int8 absmax", "int8 zero-point"]
    header = rows["float32"]["bytes"] - 4 * (KERNEL + BIAS)
    assert 0 < header < 300
    assert abs(rows["bfloat16"]["bytes"] - 2 * (KERNEL + BIAS) - header) < 20
    for name, scales in (("int8 absmax", 1), ("int8 zero-point", 2)):
        assert 0 < rows[name]["bytes"] - (KERNEL + 4 * BIAS + 4 * BIAS * scales) < 500
    assert all(row["milliseconds"] > 0 for row in rows.values())
    written = {"quantized.json", "plots/quantized.png"}
    assert {name: digest for name, digest in snapshot(run).items() if name not in written} == before


@pytest.mark.by_day_on_pin(1)
def test_float32_is_the_result_itself_and_eight_bits_stay_near_it(run: Path, command: Command) -> None:
    assert command("quantize", run, "--repeats", "1").status == 0
    whole, result = read_sealed(run / "quantized.json", QUANTIZED), read_json(run / "result.json")
    assert (whole["step"], whole["state"]) == (result["best_step"], result["state"])
    result = result["test"]
    float32, *others = rows_of(run)
    assert float32["accuracy"] == pytest.approx(result["accuracy"], abs=1e-7)
    assert float32["loss"] == pytest.approx(result["loss"], abs=1e-6)
    assert all(abs(row["accuracy"] - result["accuracy"]) < 0.02 for row in others)
    assert all(abs(row["loss"] - result["loss"]) < 0.02 for row in others)


@pytest.mark.by_day_on_pin(1)
def test_fewer_bits_change_more(run: Path, command: Command) -> None:
    changes = []
    for bits in (6, 2):
        outcome = command("quantize", run, "--bits", bits, "--repeats", "1")
        assert outcome.status == 0
        loss = {row["parameters"]: row["loss"] for row in rows_of(run)}
        changes.append(abs(loss[f"int{bits} absmax"] - loss["float32"]))
    assert changes[0] < 0.1 * changes[1]


@pytest.mark.by_day_on_pin(1)
def test_the_table_shows_each_form_with_its_numbers(run: Path, command: Command) -> None:
    header, *lines, figure = command("quantize", run, "--repeats", "1", "--batch-size", "32").out.splitlines()
    assert figure == f"figure: {run / 'plots' / 'quantized.png'}"
    assert re.split(r"\s{2,}", header.strip()) == ["parameters", "test accuracy", "test loss", "bytes", "ms per 32"]
    for line, row in zip(lines, rows_of(run), strict=True):
        assert line.startswith(row["parameters"])
        assert line.removeprefix(row["parameters"]).split()[:3] == [
            f"{row['accuracy']:.4f}", f"{row['loss']:.4f}", f"{row['bytes']:,}",
        ]  # fmt: skip


@pytest.mark.by_day_on_pin(1)
def test_schemes_bits_and_granularities_are_all_combined_and_fewer_bits_take_fewer_bytes(
    run: Path, command: Command
) -> None:
    kinds = ["--scheme", "absmax", "nf4", "--bits", 8, 4, "--granularity", "tensor", "group", "--group", 16]
    assert command("quantize", run, "--repeats", "1", *kinds).status == 0
    rows = {row["parameters"]: row["bytes"] for row in rows_of(run)}
    quantized = [f"{name} per {part}" for name in ("int8 absmax", "int4 absmax", "nf4") for part in ("tensor", 16)]
    assert list(rows) == ["float32", "bfloat16", *quantized]
    assert rows["int8 absmax per tensor"] - rows["int4 absmax per tensor"] == pytest.approx(KERNEL // 2, abs=16)
    assert rows["int4 absmax per 16"] == pytest.approx(KERNEL // 2 + 4 * 64 // 16 * 10 + 4 * BIAS, abs=400)
    assert 0 < rows["nf4 per 16"] - rows["int4 absmax per 16"] < 400  # its levels stand in the header


@pytest.mark.by_day_on_pin(1)
def test_networks_of_integers_stay_near_and_are_as_small_as_their_kernels(run: Path, command: Command) -> None:
    kinds = ["--activations", "weights", "static", "dynamic", "--rounding", "nearest", "gptq", "--edges", 8]
    flags = ["--bits", 8, 2, "--ranges", "extremes", "--calibrate", 64, "--batch-size", 32, "--repeats", 1]
    assert command("quantize", run, *kinds, *flags, "--budget", 0.13).status == 0
    assert (run / "plots" / "sensitivity.png").stat().st_size > 1000
    rows = {row["parameters"]: row for row in rows_of(run)}
    for kind in ("float32", "int8 static", "int8 dynamic"):
        row = rows[f"int8, inputs {kind}"]
        assert abs(row["accuracy"] - rows["float32"]["accuracy"]) < 0.01
        assert abs(row["loss"] - rows["float32"]["loss"]) < 0.02
        assert row["bytes"] == rows["int8 absmax"]["bytes"]
        assert rows[f"int2 gptq, inputs {kind}"]["bytes"] == rows["int2 absmax"]["bytes"]
        assert rows[f"int2 gptq, inputs {kind}"]["loss"] != rows[f"int2, inputs {kind}"]["loss"]
        # One layer of 64 rows, which take 5 bytes each in 4 bits and 3 in 2.
        assert rows[f"mixed, 13%, inputs {kind}"]["bytes"] == rows["int2 absmax"]["bytes"] + 64 * (5 - 3)


def test_two_bits_that_were_learned_lose_less_than_two_bits_that_were_rounded(run: Path, command: Command) -> None:
    kinds = ["--bits", 2, "--scheme", "absmax", "--activations", "static", "--learn", 2, "--learning-rate", 3e-3]
    assert command("quantize", run, *kinds, "--calibrate", 64, "--batch-size", 32, "--repeats", 1).status == 0
    rows = {row["parameters"]: row for row in rows_of(run)}
    learned, nearest = rows["int2 learned, inputs int8 static"], rows["int2, inputs int8 static"]
    assert learned["bytes"] == nearest["bytes"]
    assert learned["loss"] < nearest["loss"]
    assert learned["accuracy"] > nearest["accuracy"]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--learn", 9], "learn must lie in [2, 8], got 9"),
        (["--epochs", 0], "epochs must be at least 1, got 0"),
        (["--learning-rate", "nan"], "learning_rate must lie in (0, inf), got nan"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(run: Path, command: Command, flags: list[object], reason: str) -> None:
    outcome = command("quantize", run, *flags)
    assert outcome.status == 2
    assert reason in outcome.err


def test_all_is_every_scheme() -> None:
    rows = quantizers(Options(Path("run"), all=True))
    assert len(rows) == 2 * 4 * 3 + 3 + 3
    assert {"int2 zero-point per tensor", "nf4", "float8 per 32", "int3 absmax"} <= rows.keys()


def test_a_kernel_that_groups_do_not_divide_has_a_scale_for_each_channel() -> None:
    shrink = quantizers(Options(Path("run"), granularity=("group",), group=3))["int8 absmax per 3"]
    assert shrink(np.ones((6, 2), np.float32)).scale.shape == (2, 2)
    assert shrink(np.ones((7, 2), np.float32)).scale.shape == (1, 2)


def test_the_first_two_calls_are_not_timed() -> None:
    calls = []
    assert median_milliseconds(lambda: calls.append(1), repeats=3) >= 0
    assert len(calls) == 5
