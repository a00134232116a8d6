"""Finished runs as a table over seeds: `python -m experiments.report runs/digits-* --write docs/results.md`.

`--html page.html` makes a page about them that needs no other file, `--figure curves.png` compares their curves.
"""

import dataclasses
import re
import shlex
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.fingerprint import fingerprint, same_code
from experiments.pages.markdown import replace_table
from fjdl.errors import CheckpointError, StorageError, UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """Mean and standard deviation over the seeds of each experiment."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories; those that differ only in the seed make one row."""
    write: Path | None = None
    """A Markdown file in which the table between the two marker lines is replaced."""
    figure: Path | None = None
    """A PNG file with the learning curves of all runs in the same axes."""
    html: Path | None = None
    """A page of HTML about these runs, all in one file: figures, numbers, diagnosis, command, config, environment."""


def main() -> None:
    """Prints the table, and writes it where asked."""
    options = tyro.cli(Options, args=sys.argv[1:])
    if not options.runs:
        raise UsageError("report needs at least one run directory, got none")
    results = load_all(options.runs)
    lines = rows(results)
    print("\n".join(lines))
    if options.write is not None:
        replace_table(options.write, "\n".join(lines))
    if options.figure is not None:
        from experiments.reports.comparison import compared
        from fjdl.plots import save

        save(compared(results), options.figure)
    if options.html is not None:
        write_page(options.html, results, lines)


def write_page(path: Path, results: Sequence[dict[str, Any]], lines: Sequence[str]) -> None:
    """Writes the page of the runs, with the lines of the table."""
    from experiments.reports.comparison import compared
    from experiments.reports.page import page
    from fjdl.files import write_atomically

    header, _, *body = [cells(line) for line in lines]
    alike = len(results) > 1 and len({result["headline"] for result in results}) == 1
    write_atomically(path, page(results, table=[header, *body], compared=compared(results) if alike else None))


def cells(line: str) -> list[str]:
    """The cells of a row in Markdown, as plain text."""
    inside = re.split(r"(?<!\\)\|", line.strip()[1:-1])
    return [cell.strip().strip("`").replace("\\|", "|") for cell in inside]


def load_all(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The finished runs, each once however often it is given; says on stderr which others were left out.

    Raises `UsageError` where none is finished.
    """
    finished = [path for path in paths if (path / "result.json").exists()]
    left_out = [f"{path} has no result.json, so it is no finished run" for path in paths if path not in finished]
    if not finished:
        raise UsageError(left_out[0])
    results: dict[Any, dict[str, Any]] = {}
    for path in finished:
        result = load(path)
        first = results.setdefault((*_experiment(result), result["state"]), {**result, "path": path})
        if first["path"] is not path:
            left_out.append(f"{path} is the same run as {first['path']}, with the state {result['state'][:16]}")
    for reason in left_out:
        print(f"warning: {reason}; left out", file=sys.stderr)
    return list(results.values())


def load(path: Path) -> dict[str, Any]:
    """A run's result with its config and, where there is one, its quantization, which must be of the same state."""
    from fjdl.train.documents import CONFIG, read_quantized, read_result, read_sealed

    result, config, quantized = read_result(path / "result.json"), read_sealed(path / "config.json", CONFIG), []
    if (path / "quantized.json").exists():
        state, quantized = read_quantized(path / "quantized.json", metric=result["headline"])
        if state not in (None, result["state"]):
            raise CheckpointError(
                f"{path / 'quantized.json'} is of another state than result.json: quantize the run again"
            )
    return {**result, "config": settled(config), "quantized": quantized}


def settled(config: dict[str, Any]) -> dict[str, Any]:
    """The config with the hash of today in place of that of an older version, if it is still the same code."""
    path = Path(config["config"])
    return {**config, "sha256": fingerprint(path.read_bytes())} if same_code(path, config["sha256"]) else config


def rows(results: list[dict[str, Any]]) -> list[str]:
    """Markdown lines, one row for all seeds of an experiment."""
    header = "| experiment | on test data | n | int8 absmax / zero-point | parameters | time | hardware | command |"
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        groups[_experiment(result)].append(result)
    return [header, "|" + "---|" * 8, *(_row(group) for group in groups.values())]


def spread(values: list[float], *, scale: float = 1.0, digits: int = 2) -> str:
    """Mean ± sample standard deviation, and the mean alone for one value."""
    mean = statistics.fmean(values) * scale
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(values) * scale:.{digits}f}"


def headline_text(name: str, values: list[float], *, proportion: bool) -> str:
    """Name, mean and deviation of a headline, in percent where it is a proportion."""
    return f"{name} {spread(values, scale=100)} %" if proportion else f"{name} {spread(values, digits=4)}"


def _experiment(result: dict[str, Any]) -> tuple[Any, ...]:
    arguments = {name: value for name, value in result["config"]["arguments"].items() if name != "seed"}
    return result["config"]["config"], result["config"]["sha256"], repr(sorted(arguments.items())), result["hardware"]


def _row(group: list[dict[str, Any]]) -> str:
    first = group[0]
    name = Path(first["config"]["config"]).stem + ("" if first["precision"] == "float32" else f" {first['precision']}")
    seeds = sorted(result["seed"] for result in group)
    cells = [
        name,
        _headline(group),
        f"{len(group)} (seeds {', '.join(map(str, seeds))})",
        _quantized(group),
        f"{first['parameters']:,}",
        spread([result["seconds"] for result in group], digits=0) + " s",
        first["hardware"],
        f"`{_command(first)}`",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _headline(group: list[dict[str, Any]]) -> str:
    name = group[0]["headline"]
    values = [result["test"][name] for result in group]
    return headline_text(name, values, proportion=_is_proportion(group))


def _is_proportion(group: list[dict[str, Any]]) -> bool:
    """Whether the headline is one, which the result says by an interval."""
    from fjdl.train.summary import proportions

    return group[0]["headline"] in proportions(group[0]["test"])


def _quantized(group: list[dict[str, Any]]) -> str:
    """Mean change of int8 against float32, in points of a proportion or in the metric's own unit, of how many runs."""
    name = group[0]["headline"]
    scale, digits = (100, 2) if _is_proportion(group) else (1, 4)
    changes = defaultdict(list)
    for result in group:
        for row in result["quantized"]:
            if row["parameters"].startswith("int8 "):
                changes[row["parameters"]].append((row[name] - result["test"][name]) * scale)
    if not changes:
        return "not run"
    means = " / ".join(f"{statistics.fmean(values):+.{digits}f}" for values in changes.values())
    return f"{means} (n = {' / '.join(dict.fromkeys(str(len(values)) for values in changes.values()))})"


def _command(result: dict[str, Any]) -> str:
    """The command without its run directory, the seed left open."""
    try:
        words, kept = iter(shlex.split(result["command"])), []
    except ValueError as error:
        raise StorageError(f"the command in the result of {result['path']} cannot be read: {error}") from error
    for word in words:
        if word in ("--run-dir", "--seed"):
            next(words, None)
        elif not word.startswith(("--run-dir=", "--seed=")):
            kept.append(word)
    return shlex.join(kept) + " --seed N"


if __name__ == "__main__":
    run_guarded(main)
