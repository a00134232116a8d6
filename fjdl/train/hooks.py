"""Hooks: plain functions that a training calls with the record of each epoch; one of them writes for TensorBoard."""

import os
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fjdl.errors import StorageError, UsageError

Record = Mapping[str, Any]  # of an epoch: the fields of its lines in metrics.jsonl and timing.jsonl
Hook = Callable[[Record], None]

_PARTS = ("train_sample_", "validation_", "train_")


def tensorboard(folder: Path | str) -> Hook:
    """A hook that writes the numbers of each epoch as TensorBoard's events into a folder, at the epoch's step.

    `validation_accuracy` and `train_sample_accuracy` become the lines "validation" and "train_sample" of one chart, as
    the tags `accuracy/validation` and `accuracy/train_sample`; what belongs to no part is under `run/`. Events of an
    epoch are on the disk when the hook returns. A run that is taken up goes on in the same folder, in a file of its
    own. Raises `UsageError` without the package tensorboardX, which `pip install 'fjdl[tensorboard]'` brings.
    """
    try:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event  # type: ignore[attr-defined]
        from tensorboardX.proto.summary_pb2 import Summary  # type: ignore[attr-defined]
    except ImportError as error:
        raise UsageError(
            "writing for TensorBoard needs the package tensorboardX: pip install 'fjdl[tensorboard]'"
        ) from error
    files: list[Any] = []  # opened with the first record, so that a run without epochs leaves no folder

    def write(record: Record) -> None:
        if not files:
            files.append(RecordWriter(_new_file(Path(folder))))
            weakref.finalize(write, files[0].close)
            files[0].write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        numbers = {tag_of(name): value for name, value in record.items() if isinstance(value, (int, float))}
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in numbers.items()]
        event = Event(wall_time=time.time(), step=record["step"], summary=Summary(value=values))
        files[0].write(event.SerializeToString())
        files[0].flush()

    return write


def tag_of(name: str) -> str:
    """The chart of a number in a record, and the line in it.

    >>> tag_of("validation_loss"), tag_of("train_gradient_norm"), tag_of("seconds")
    ('loss/validation', 'gradient_norm/train', 'run/seconds')
    """
    part = next((part for part in _PARTS if name.startswith(part)), None)
    return f"run/{name}" if part is None else f"{name.removeprefix(part)}/{part.rstrip('_')}"


def _new_file(folder: Path) -> str:
    """A name that TensorBoard looks for and no run before had; raises `StorageError` without the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror or error}") from error
    return str(folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}")
