"""Findings that follow from a run's files alone: nothing is loaded or computed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fjdl import diagnosis
from fjdl.diagnosis import Finding
from fjdl.errors import UsageError

Records = Sequence[Mapping[str, Any]]


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a run directory, one for each epoch; `UsageError` where there are none yet."""
    from fjdl.train.json_files import read_jsonl
    from fjdl.train.records import read_run
    from fjdl.train.rundir import RunDirectory

    file = path / "metrics.jsonl"
    first = next(iter(read_jsonl(file)), None)
    if first is None:
        raise UsageError(f"{path} has no records of epochs: {file} is missing or empty")
    return read_run(RunDirectory(path=path), steps_per_epoch=first.get("step", 0))


def read_finished(path: Path) -> dict[str, Any] | None:
    """The run's result, None while it goes on."""
    from fjdl.train.rundir import RunDirectory, finished

    return finished(RunDirectory(path=path))


def from_records(records: Records, result: Mapping[str, Any] | None, *, aim: float = 1.0) -> list[Finding]:
    """What the losses and scores of a run tell; gaps are those of the best epoch, which a finished run names."""
    found = [
        diagnosis.divergence(records),
        diagnosis.gradient_spikes(records),
        diagnosis.oscillation(records),
        diagnosis.plateau(records),
        diagnosis.too_short(records),
        diagnosis.overfitting(records),
    ]
    return [*found, *gaps(best_of(records, result), result, aim=aim), *parts(result)]


def best_of(records: Records, result: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The record of the best epoch: that of the result, or of the lowest validation loss so far."""
    if result is not None:
        return next(record for record in records if record["step"] == result["best_step"])
    return min(records, key=lambda record: record.get("validation_loss", float("inf")))


def gaps(best: Mapping[str, Any], result: Mapping[str, Any] | None, *, aim: float) -> list[Finding]:
    """The gap of the headline where it is a proportion that was measured in training too, else that of the losses."""
    name = None if result is None else proportion_of(result)
    training, validation = best.get(f"train_sample_{name}"), best.get(f"validation_{name}")
    if result is not None and training is not None and validation is not None:
        return [diagnosis.score_gap(training, validation, count=result["examples"]["validation"], aim=aim)]
    loss = best.get("train_sample_loss", best.get("train_loss"))
    return [] if loss is None else [diagnosis.loss_gap(loss, best["validation_loss"])]


def parts(result: Mapping[str, Any] | None) -> list[Finding]:
    """Whether validation and test part differ, of a finished run whose headline is a proportion of their examples."""
    name = None if result is None else proportion_of(result)
    if result is None or name is None:
        return []
    counts = (result["validation"].get("count"), result["test"].get("count"))
    if not all(isinstance(count, int) and count > 0 for count in counts):
        return []
    return [diagnosis.different_parts(result["validation"][name], result["test"][name], counts=counts)]


def proportion_of(result: Mapping[str, Any]) -> str | None:
    """The name of the headline where it is one."""
    from fjdl.train.summary import proportions

    name = result["headline"]
    return name if name in proportions(result["test"]) and name in proportions(result["validation"]) else None
