"""Runs of a config in fewer bits: `python -m experiments.pages.quantized_runs RUNS --section LeNet-5 --write PAGE`.

The runs differ in their seeds and were measured by `experiments.quantize` with the same options.
"""

import dataclasses
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.pages.markdown import print_table, table_line
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """A table of what each form costs, over runs that differ in their seeds."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories with a quantized.json."""
    section: str = "quantized runs"
    """Of the page."""
    write: Path | None = None
    """A Markdown file in which the table between the two marker lines of its section is replaced."""


def main() -> None:
    """Prints the table, and writes it where asked."""
    options = tyro.cli(Options, args=sys.argv[1:])
    print_table(table(options.runs), options.write, section=options.section)


def table(runs: tuple[Path, ...]) -> Iterator[str]:
    """The lines of the table: mean and sample standard deviation of the headline and of its change, bytes and share.

    Raises `UsageError` for no runs and for runs that were not measured in the same forms.
    """
    if not runs:
        raise UsageError("runs must name one at least, got none")
    headline, each = read(runs)
    names = list(each[0])
    if other := [str(run) for run, rows in zip(runs, each, strict=True) if list(rows) != names]:
        raise UsageError(f"runs must be measured in the same forms by experiments.quantize, but {other[0]} has others")
    yield table_line(("form", f"test {headline}", "change in points", "bytes", "share"))
    yield "|---|---:|---:|---:|---:|"
    share = headline.endswith("accuracy")
    whole = [rows[names[0]] for rows in each]
    for name in names:
        rows = [rows[name] for rows in each]
        changes = [100 * (row[headline] - first[headline]) for row, first in zip(rows, whole, strict=True)]
        values = [100 * row[headline] if share else row[headline] for row in rows]
        size = statistics.fmean(row["bytes"] for row in rows)
        part = size / statistics.fmean(row["bytes"] for row in whole)
        cells = (name, spread(values, "%" if share else ""), spread(changes, "", sign="+"), f"{size:,.0f}")
        yield table_line((*cells, f"{part:.3f}"))


def read(runs: tuple[Path, ...]) -> tuple[str, list[dict[str, dict[str, Any]]]]:
    """The name of the headline, and the rows of each run by their forms."""
    from fjdl.train.documents import read_quantized, read_result

    headlines = {read_result(run / "result.json")["headline"] for run in runs}
    if len(headlines) > 1:
        raise UsageError(f"runs must have one headline, got {sorted(headlines)}")
    headline = headlines.pop()
    rows = [read_quantized(run / "quantized.json", metric=headline)[1] for run in runs]
    return headline, [{row["parameters"]: row for row in some} for some in rows]


def spread(values: list[float], unit: str, *, sign: str = "") -> str:
    """The mean, and of several values the sample standard deviation."""
    mean = f"{statistics.fmean(values):{sign}.2f}"
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean}{deviation}{unit and ' '}{unit}"


if __name__ == "__main__":
    run_guarded(main)
