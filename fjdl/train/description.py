"""What the examples of a run are: all that is needed of its data to ask its model about other examples."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fjdl.data.image_folder import SquareReader
from fjdl.data.own.coding import TableCoder
from fjdl.data.source import PARTS, Reader, Splits
from fjdl.data.vision.images import FittedReader
from fjdl.errors import StorageError
from fjdl.train.documents import DATA, read_sealed, read_text, write_sealed
from fjdl.train.rundir import RunDirectory

_READERS = {"square": SquareReader, "fitted": FittedReader}
_TABLE = "table.json"


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """A data set without its examples."""

    name: str
    classes: tuple[str, ...]
    examples: Mapping[str, int]  # of each part
    arrays: Mapping[str, tuple[tuple[int, ...], str]]  # shape and dtype of each array of an example
    steps_per_epoch: int
    reader: Reader | None = None  # of image files
    coder: TableCoder | None = None  # of rows of tables

    def blank(self) -> dict[str, np.ndarray]:
        """An example of zeros."""
        return {name: np.zeros(shape, dtype) for name, (shape, dtype) in self.arrays.items()}


def described(splits: Splits, *, steps_per_epoch: int) -> DataDescription:
    """The description of a data set."""
    example = {name: np.asarray(array) for name, array in splits.train.element(0).items()}
    return DataDescription(
        name=splits.name,
        classes=tuple(splits.classes),
        examples={part: getattr(splits, part).length for part in PARTS},
        arrays={name: (array.shape, array.dtype.name) for name, array in example.items()},
        steps_per_epoch=steps_per_epoch,
        reader=splits.reader,
        coder=getattr(splits, "coder", None),
    )


def keep_description(run: RunDirectory, splits: Splits, *, steps_per_epoch: int) -> None:
    """Writes the description into the run where it is not there yet.

    A reader of a user's own is no value, and is not kept: the config then makes it, from its data.
    """
    if run.description.exists():
        return
    found = described(splits, steps_per_epoch=steps_per_epoch)
    kind = next((name for name, kind in _READERS.items() if isinstance(found.reader, kind)), None)
    if found.reader is not None and kind is None:
        return
    arrays = {name: {"shape": list(shape), "dtype": dtype} for name, (shape, dtype) in found.arrays.items()}
    reader = None if kind is None else {"kind": kind, **asdict(found.reader)}  # type: ignore[call-overload]
    write_sealed(
        run.description,
        {
            "name": found.name, "classes": list(found.classes), "examples": dict(found.examples), "arrays": arrays,
            "steps_per_epoch": steps_per_epoch, "reader": reader,
        },
    )  # fmt: skip


def read_description(run: RunDirectory) -> DataDescription | None:
    """What `keep_description` wrote, None in a run without it; raises `StorageError` for a damaged file."""
    if not run.description.exists():
        return None
    kept = read_sealed(run.description, DATA)
    table = run.data / _TABLE
    try:
        return DataDescription(
            name=kept["name"],
            classes=tuple(kept["classes"]),
            examples=kept["examples"],
            arrays={name: (tuple(each["shape"]), each["dtype"]) for name, each in kept["arrays"].items()},
            steps_per_epoch=kept["steps_per_epoch"],
            reader=_reader(kept["reader"]),
            coder=TableCoder.from_json(read_text(table), path=table) if table.exists() else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{run.description} must describe data as a run keeps them, got another content") from error


def _reader(kept: Mapping[str, Any] | None) -> Reader | None:
    if kept is None:
        return None
    options: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    kind: Any = _READERS[options.pop("kind")]
    return kind(**options)
