"""`verify repro`: a finished run is trained once more by its own command, and every bit is compared."""

import dataclasses
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from experiments.verifications.resume import ended, finish
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """The command of a run must give its bits again."""

    run: tyro.conf.Positional[Path]
    """A finished run directory, which stays as it is."""


def main(arguments: Sequence[str]) -> bool:
    """Whether states and records are the same; says what differs, and which facts of the environment do."""
    from fjdl.train.documents import read_command
    from fjdl.train.records import read_run
    from fjdl.train.rundir import RunDirectory, finished

    options = tyro.cli(Options, args=arguments, prog="verify repro")
    run = RunDirectory(path=options.run)
    result = finished(run)
    if result is None:
        raise UsageError(f"{options.run} is not finished: it has no result.json")
    per_epoch = result["best_step"] // result["best_epoch"]
    with tempfile.TemporaryDirectory() as folder:
        again = RunDirectory(path=Path(folder) / "again")
        found = finish(without_folder(shlex.split(read_command(options.run / "command.txt"))), again.path)
        records = [read_run(each, steps_per_epoch=per_epoch) for each in (run, again)]
        differing = [name for name, value in ended(run.path).items() if found[name] != value]
        lines = [f"{name} differs" for name in differing] or ["the same bits"]
        lines += first_difference(*records) if differing else []
        lines += differences(run.path, again.path)
    print("\n".join(lines))
    return not differing


def without_folder(words: Sequence[str]) -> list[str]:
    """The command of a run by this Python, up to the name of a new folder."""
    kept = [sys.executable, *words[1:]]
    if "--run-dir" in kept:
        place = kept.index("--run-dir")
        del kept[place : place + 2]
    return [*kept, "--run-dir"]


def first_difference(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> list[str]:
    """A line about the first epoch whose records differ, and how many epochs there are."""
    for first, second in zip(one, other, strict=False):
        names = [name for name in {**first, **second} if repr(first.get(name)) != repr(second.get(name))]
        if names:
            told = ", ".join(f"{name} {first.get(name)} and {second.get(name)}" for name in names[:3])
            return [f"epoch {first['epoch']} is the first that differs: {told}"]
    return [f"all {min(len(one), len(other))} epochs that both have are the same, of {len(one)} and {len(other)}"]


def differences(one: Path, other: Path) -> list[str]:
    """A line for each fact of the environment and of the code in which two runs differ."""
    from fjdl.train.documents import CODE, ENVIRONMENT, read_sealed

    lines = []
    for name, fields in (("env.json", ENVIRONMENT), ("git.json", CODE)):
        was, now = (read_sealed(run / name, fields) for run in (one, other))
        facts = [fact for fact in {**was, **now} if was.get(fact) != now.get(fact) and fact != "diff"]
        lines += [f"{fact}: the run had {was.get(fact)}, now {now.get(fact)}" for fact in facts]
    return lines
