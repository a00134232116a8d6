"""What a sweep found: a table, a document, figures."""

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from experiments.sweeps.records import loss_of

Mode = Literal["max", "min"]  # which of two scores is the better


def ranked(records: Sequence[dict[str, Any]], *, mode: str) -> list[dict[str, Any]]:
    """The records, best first: those with the most epochs before those that were given up, then by mean score."""
    return sorted(records, key=lambda record: (-record["epochs"], loss_of(record, mode=mode), record["trial"]))


def table(records: Sequence[dict[str, Any]], *, monitor: str, names: Sequence[str]) -> str:
    """Ranked records as lines of columns: score, epochs, and the values that are varied."""
    head = ["", f"validation {monitor}", "epochs", *names]
    rows = [head, *(_row(place, record, names) for place, record in enumerate(records, start=1))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def spread(scores: Sequence[float]) -> str:
    """Mean ± sample standard deviation, the mean alone of one score, a word where one is none."""
    if any(map(math.isnan, scores)):
        return "diverged"
    mean = statistics.fmean(scores)
    return f"{mean:.4f}" if len(scores) == 1 else f"{mean:.4f} ± {statistics.stdev(scores):.4f}"


def shown(value: Any) -> str:
    """A value in a table: a number with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def document(
    records: Sequence[dict[str, Any]], *, config: Mapping[str, Any], monitor: str, mode: str, command: str
) -> dict[str, Any]:
    """What sweep.json holds: each trial with mean and deviation of its scores, best first."""
    trials = [
        {
            "trial": record["trial"],
            "round": record["round"],
            "point": record["point"],
            "epochs": record["epochs"],
            "mean": statistics.fmean(record["scores"]),
            "std": statistics.stdev(record["scores"]) if len(record["scores"]) > 1 else None,
            "scores": record["scores"],
            "seconds": record["seconds"],
            "error": record.get("error"),
        }
        for record in records
    ]
    return {"config": dict(config), "monitor": monitor, "mode": mode, "best": command, "trials": trials}


def training_command(config: str, values: Mapping[str, Any]) -> str:
    """The command that trains a config with these values."""
    words = ["python", "-m", "experiments.train", config]
    for name, value in values.items():
        flag = name.replace("_", "-")
        words += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return shlex.join(words)


def draw(folder: Path, records: Sequence[dict[str, Any]], *, monitor: str, mode: Mode, title: str) -> list[Path]:
    """The figures of the trials that have a score, as PNG files."""
    from fjdl.plots.files import save
    from fjdl.plots.sweeps.marginals import marginals
    from fjdl.plots.sweeps.parallel import parallel_coordinates

    good = [record for record in records if math.isfinite(loss_of(record, mode=mode))]
    if not good:
        return []
    points = [record["point"] for record in good]
    scores = [statistics.fmean(record["scores"]) for record in good]
    spreads = [statistics.stdev(record["scores"]) if len(record["scores"]) > 1 else 0.0 for record in good]
    epochs, label = [record["epochs"] for record in good], f"validation {monitor}"
    figures = {
        "marginals": marginals(points, scores, spreads=spreads, epochs=epochs, score=label, title=title),
        "parallel": parallel_coordinates(points, scores, score=label, better=mode, title=title),
    }
    for name, figure in figures.items():
        save(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in figures]


def _row(place: int, record: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    score = f"refused: {record['error']}" if record.get("error") else spread(record["scores"])
    return [str(place), score, str(record["epochs"]), *(shown(record["point"][name]) for name in names)]
