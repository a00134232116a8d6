import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from experiments.quantize import median_milliseconds
from fjdl.train.documents import QUANTIZED, read_sealed
from fjdl.train.json_files import read_json
from tests.experiments.support import Command, snapshot

KERNEL, BIAS = 64 * 10, 10


def rows_of(run: Path) -> list[dict[str, Any]]:
    return read_sealed(run / "quantized.json", QUANTIZED)["rows"]


@pytest.fixture(scope="module")
def run(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(trained_run, tmp_path_factory.mktemp("quantized") / "run"))


def test_four_forms_are_compared_on_the_test_part(run: Path, command: Command) -> None:
    before = snapshot(run)
    outcome = command("quantize", run, "--repeats", "3")
    assert outcome.status == 0
    rows = {row.pop("parameters"): row for row in rows_of(run)}
    assert list(rows) == ["float32", "bfloat16", "int8 absmax", "int8 zero-point"]
    assert rows["float32"]["bytes"] == 4 * (KERNEL + BIAS)
    assert rows["bfloat16"]["bytes"] == 2 * (KERNEL + BIAS)
    for name in ("int8 absmax", "int8 zero-point"):
        assert KERNEL + 4 * BIAS < rows[name]["bytes"] < 0.4 * rows["float32"]["bytes"]
    assert all(row["milliseconds"] > 0 for row in rows.values())
    assert {name: digest for name, digest in snapshot(run).items() if name != "quantized.json"} == before


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


def test_fewer_bits_change_more(run: Path, command: Command) -> None:
    changes = []
    for bits in (6, 2):
        outcome = command("quantize", run, "--bits", bits, "--repeats", "1")
        assert outcome.status == 0
        assert [line.endswith("stored in whole bytes") for line in outcome.out.splitlines()] == [False] * 3 + [True] * 2
        loss = {row["parameters"]: row["loss"] for row in rows_of(run)}
        changes.append(abs(loss[f"int{bits} absmax"] - loss["float32"]))
    assert changes[0] < 0.1 * changes[1]


def test_the_table_shows_each_form_with_its_numbers(run: Path, command: Command) -> None:
    header, *lines = command("quantize", run, "--repeats", "1", "--batch-size", "32").out.splitlines()
    assert re.split(r"\s{2,}", header.strip()) == ["parameters", "test accuracy", "test loss", "bytes", "ms per 32"]
    for line, row in zip(lines, rows_of(run), strict=True):
        assert line.startswith(row["parameters"])
        assert line.removeprefix(row["parameters"]).split()[:3] == [
            f"{row['accuracy']:.4f}", f"{row['loss']:.4f}", f"{row['bytes']:,}",
        ]  # fmt: skip


def test_the_first_two_calls_are_not_timed() -> None:
    calls = []
    assert median_milliseconds(lambda: calls.append(1), repeats=3) >= 0
    assert len(calls) == 5
