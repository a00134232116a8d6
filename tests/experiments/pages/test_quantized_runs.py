"""The table of runs in fewer bits."""

from pathlib import Path
from typing import Any

import pytest

from experiments.pages import quantized_runs
from experiments.pages.quantized_runs import spread, table
from fjdl.errors import UsageError

RUNS = (Path("a"), Path("b"))


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    each = [
        {"float32": {"accuracy": 0.9, "bytes": 4000}, "int8": {"accuracy": 0.89, "bytes": 1000}},
        {"float32": {"accuracy": 0.92, "bytes": 4000}, "int8": {"accuracy": 0.93, "bytes": 1001}},
    ]
    monkeypatch.setattr(quantized_runs, "read", lambda runs: ("accuracy", each[: len(runs)]))
    return each


def test_mean_and_deviation_of_values_and_changes(rows: list[dict[str, Any]]) -> None:
    assert list(table(RUNS)) == [
        "| form | test accuracy | change in points | bytes | share |",
        "|---|---:|---:|---:|---:|",
        "| float32 | 91.00 ± 1.41 % | +0.00 ± 0.00 | 4,000 | 1.000 |",
        "| int8 | 91.00 ± 2.83 % | +0.00 ± 1.41 | 1,000 | 0.250 |",
    ]
    assert list(table(RUNS[:1]))[-1] == "| int8 | 89.00 % | -1.00 | 1,000 | 0.250 |"


def test_runs_in_other_forms_and_no_runs_are_refused(rows: list[dict[str, Any]]) -> None:
    del rows[1]["int8"]
    with pytest.raises(UsageError, match=r"^runs must be measured in the same forms by .*, but b has others$"):
        list(table(RUNS))
    with pytest.raises(UsageError, match=r"^runs must name one at least, got none$"):
        list(table(()))


def test_one_value_has_no_deviation() -> None:
    assert spread([0.5], "") == "0.50"
    assert spread([1.0, 3.0], "%") == "2.00 ± 1.41 %"
