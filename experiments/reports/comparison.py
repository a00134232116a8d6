"""The learning curves of several runs in one figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.diagnoses.from_records import read_records
from fjdl.errors import UsageError


def compared(results: Sequence[dict[str, Any]]) -> Any:
    """A figure of the losses and the headline of each run, which must be one for all."""
    from fjdl.plots import comparison_figure
    from fjdl.train.summary import proportions

    headlines = sorted({result["headline"] for result in results})
    if len(headlines) > 1:
        raise UsageError(f"runs must have one headline to be compared in a figure, got {', '.join(headlines)}")
    (headline,) = headlines
    runs = dict(zip(names([result["path"] for result in results]), map(records_of, results), strict=True))
    data = ", ".join(sorted({result["data"] for result in results}))
    return comparison_figure(
        runs, headline=headline, title=data, percent=all(headline in proportions(result["test"]) for result in results)
    )


def records_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of a run."""
    return read_records(result["path"])


def names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    parts = [path.absolute().parts for path in paths]
    ends = (["/".join(part[-length:]) for part in parts] for length in range(1, max(map(len, parts)) + 1))
    return next(found for found in ends if len(set(found)) == len(found))
