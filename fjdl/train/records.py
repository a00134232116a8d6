"""The records of a run, one for each epoch, which its result rests on: without gaps, or refused."""

from pathlib import Path
from typing import Any

from fjdl.errors import CheckpointError, StorageError
from fjdl.train.documents import NUMBER, checked, is_a
from fjdl.train.json_files import read_jsonl
from fjdl.train.rundir import RunDirectory, finished

Records = list[dict[str, Any]]
_KINDS = {"state": str, "train_last_bad_cause": str, "train_last_bad_examples": list}  # of what is no number


def read_metrics(path: Path, *, steps_per_epoch: int, until: int | None = None) -> Records:
    """The records of metrics.jsonl up to the step `until`, all by default.

    Raises `StorageError` naming file and line unless each epoch up to there has one line, in order, with its step, its
    number, and nothing but numbers beside the digest `state` and what is told of the last refused step.
    """
    records = _read(path, steps_per_epoch, until)
    for number, record in enumerate(records, start=1):
        for name, value in record.items():
            if not is_a(value, _KINDS.get(name, NUMBER)):
                raise StorageError(f"{path} is damaged in line {number}: {name} is {value!r}")
    return records


def read_run(run: RunDirectory, *, steps_per_epoch: int) -> Records:
    """The records of metrics.jsonl, of a finished run those of all epochs that its result counts."""
    result = finished(run)
    records = read_metrics(run.metrics, steps_per_epoch=steps_per_epoch)
    if result is not None and len(records) != result["epochs"]:
        raise StorageError(f"{run.metrics} must have the {result['epochs']} epochs of its run, got {len(records)}")
    return records


def read_timing(path: Path, *, steps_per_epoch: int, until: int | None = None) -> Records:
    """The records of timing.jsonl, as `read_metrics` reads its file; each has the `seconds` of its epoch."""
    records = _read(path, steps_per_epoch, until)
    for number, record in enumerate(records, start=1):
        checked(record, {"seconds": NUMBER}, where=f"{path}, line {number},")
    return records


def require_state(records: Records, step: int, digest: str, *, where: Path) -> None:
    """Raises `CheckpointError` where the record of this step names the digest of another state."""
    for record in records:
        if record["step"] == step and record.get("state", digest) != digest:
            raise CheckpointError(f"{where} holds state {digest[:16]}, its record has {record['state'][:16]}")


def require_no_saves(path: Path, checkpoints: Path) -> None:
    """Raises `StorageError` where the records in `path` tell of checkpoints, of which there are none any more.

    One record at the end may tell of a save that a crash prevented.
    """
    records = read_jsonl(path)
    if any("state" in record for record in records[:-1]):
        raise StorageError(
            f"{path} has the records of {len(records)} epochs, but {checkpoints} holds no checkpoint any more: bring "
            "the checkpoints back, or start again in another directory"
        )


def _read(path: Path, steps_per_epoch: int, until: int | None) -> Records:
    records = [checked(record, {"step": int, "epoch": int}, where=f"a line of {path}") for record in read_jsonl(path)]
    kept = [record for record in records if until is None or record["step"] <= until]
    for number, record in enumerate(kept, start=1):
        if (record["step"], record["epoch"]) != (number * steps_per_epoch, number):
            raise StorageError(
                f"{path} must have one line for each epoch of {steps_per_epoch} steps, in order, but line {number} "
                f"is of step {record['step']}, epoch {record['epoch']}"
            )
    if until is not None and len(kept) * steps_per_epoch != until:
        raise StorageError(f"{path} must have one line for each epoch up to step {until}, got {len(kept)} lines")
    return kept
