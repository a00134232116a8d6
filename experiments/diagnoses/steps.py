"""What of a training step is not finite: the first operation and parameter, found by doing the step once more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.command import open_experiment
from fjdl.errors import UsageError


def of_run(run: Path, step: int | None) -> list[str]:
    """Lines about a step of a run, by default the last that was refused."""
    from fjdl.train.prepare import prepare
    from fjdl.train.replay import replay
    from fjdl.train.rundir import RunDirectory

    recipe = open_experiment(run).recipe
    directory = RunDirectory(path=run)
    number = last_refused(run) if step is None else step
    return told(run, replay(prepare(recipe), directory, number))


def last_refused(run: Path) -> int:
    """The step at which the training stopped, or else the last one that its records tell of."""
    from fjdl.train.diverged import read_diverged
    from fjdl.train.json_files import read_jsonl
    from fjdl.train.rundir import RunDirectory

    directory = RunDirectory(path=run)
    kept = read_diverged(directory)
    if kept is not None:
        return kept.step
    steps = [record.get("train_last_bad_step", -1) for record in read_jsonl(directory.metrics)]
    if max(steps, default=-1) < 0:
        raise UsageError(f"no step of {run} was refused; --step N does any step once more")
    return int(max(steps))


def told(run: Path, replayed: Any) -> list[str]:
    """What was found in the step."""
    first = f"{run}, step {replayed.step} once more, from {replayed.start}, one operation at a time:"
    return [first, *(f"  {line}" for line in findings(replayed.found) or ["loss, gradients and parameters are finite"])]


def findings(found: Sequence[Any]) -> list[str]:
    """A line for loss and penalty, one for the gradients, and one for parameters that the optimizer spoilt."""
    lines = [f"{each.name}: {each.cause}" for each in found if each.name in ("loss", "penalty")]
    gradients = [each for each in found if each.name.startswith("gradient")]
    parameters = [each for each in found if each.name.startswith("parameter")]
    kind, spoilt = ("gradient", gradients) if gradients else ("parameter after the step", parameters)
    if spoilt:
        nearest = min(spoilt, key=lambda each: each.distance)
        name = nearest.name.partition("/")[2] or "the only one"
        lines.append(f"{kind}: not finite for {len(spoilt)} parameters, the first is {name}: {nearest.cause}")
    return lines
