"""Images inside of files of Parquet, as Hugging Face's data sets have them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fjdl.checks import at_least
from fjdl.data.blank import absent
from fjdl.data.image_folder import SquareReader, decode, decode_bytes, square_reader
from fjdl.data.own.labels import classes_of, numbered
from fjdl.data.own.parquet_files import read_parquet
from fjdl.data.own.parts import drawn_parts
from fjdl.data.source import PARTS, Example, Source, Splits, one_by_one, subset
from fjdl.errors import DataFormatError

_FILES = {"train": ("train*",), "validation": ("validation*", "valid*", "val*", "dev*"), "test": ("test*",)}


def parquet_images(
    path: Path | str,
    *,
    size: int,
    shorter: int | None = None,
    image: str = "image",
    label: str = "label",
    classes: Sequence[str] | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    split_seed: int = 0,
) -> Splits:
    """The images in a file of Parquet, or a folder of such files, as uint8 [size, size, 3] with a label, streamed.

    The column `image` holds structs `{"bytes": …, "path": …}`, of which the bytes, or where there are none the file
    beside the table, are an image as `image_folder.decode` reads it, or it holds the bytes alone. The column `label`
    holds integers from 0, which mean the classes that the file names for Hugging Face's `datasets`, or `classes`; or it
    holds strings.

    In a folder the files `train*.parquet`, `validation*.parquet` and `test*.parquet` are the parts, several files of a
    part one after the other; where only one of the two last is there, it is the test part. The shares `validation` and
    `test` of parts that are not there are drawn by the seed, class by class.

    An image is decoded each time it is asked for, and a damaged one raises `DataError` naming file and row then. Raises
    `DataError` for columns that are not there or hold something else, for a missing label and for one class alone,
    `UsageError` where pyarrow is not installed, and `ValueError` for sizes below 1 and shares that do not fit.
    """
    at_least(1, size=size)
    files = part_files(path)
    tables = {part: [(file, read_parquet(file)) for file in listed] for part, listed in files.items()}
    first = tables["train"][0][1]
    for file, each in [pair for listed in tables.values() for pair in listed]:
        _require_columns(file, each, image, label=label)
    labels = {part: [_labels(file, each, label) for file, each in listed] for part, listed in tables.items()}
    known = classes_of(str(path), [one for each in labels.values() for one in each], classes or _named(first, label))
    numbers = {
        part: np.concatenate(
            [numbered(str(file), one, known) for (file, _), one in zip(listed, labels[part], strict=True)]
        )
        for part, listed in tables.items()
    }
    sources = {part: _source(tables[part], image, numbers[part], size, shorter) for part in tables}
    others = [sources[part] for part in PARTS[1:] if part in sources]
    shares = ((validation, test), (validation, None), (None, None))[len(others)]
    drawn = drawn_parts(str(path), numbers["train"], validation=shares[0], test=shares[1], seed=split_seed)
    train, middle, last = *(subset(sources["train"], indices) for indices in drawn), *others
    return Splits(
        name=Path(path).resolve().name, train=train, validation=middle, test=last, classes=known,
        reader=square_reader(size=size, shorter=shorter),
    )  # fmt: skip


def further_images(path: Path | str, reader: SquareReader, *, image: str = "image") -> Source:
    """The images of another file as a data set of this reader has them, without labels; errors are as above."""
    table = read_parquet(path)
    _require_columns(Path(path), table, image)
    column = table[image]

    def one(number: int) -> Example:
        pixels = _pixels(Path(path), number, column[number].as_py(), reader.size, reader.shorter)
        return {"image": reader.seen(pixels)}

    return one_by_one(table.num_rows, one)


def part_files(path: Path | str) -> dict[str, list[Path]]:
    """The files of each part that is there: one file is the training part; raises `DataError` where there is none."""
    root = Path(path)
    if root.is_file():
        return {"train": [root]}
    if not root.is_dir():
        raise absent(f"{path} must be a file of Parquet or a folder of them, got no such path")
    found = {
        part: sorted({file for pattern in patterns for file in root.rglob(f"{pattern}.parquet")})
        for part, patterns in _FILES.items()
    }
    if not found["train"]:
        raise DataFormatError(path, None, "", "hold files train*.parquet", "none")
    return {part: listed for part, listed in found.items() if listed}


def is_of_images(table: Any, image: str = "image") -> bool:
    """Whether a table of Arrow has images in the column."""
    if image not in table.column_names:
        return False
    kind = table.schema.field(image).type
    fields = {kind.field(k).name for k in range(kind.num_fields)} if str(kind).startswith("struct") else set()
    return "bytes" in fields or str(kind) in ("binary", "large_binary")


def _require_columns(file: Path, table: Any, image: str, *, label: str | None = None) -> None:
    for name in (image, label):
        if name is not None and name not in table.column_names:
            raise DataFormatError(
                file, None, "the table", f"have a column {name!r}", f"{', '.join(table.column_names)}"
            )
    if not is_of_images(table, image):
        kind = table.schema.field(image).type
        raise DataFormatError(file, f"column {image!r}", "images", "be bytes or structs of bytes and path", f"{kind}")


def _labels(file: Path, table: Any, label: str) -> np.ndarray:
    column = table[label]
    values = column.to_pylist()
    for row, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            raise DataFormatError(
                file, f"row {row}, column {label!r}", "the label", "be an integer or a string", f"{value!r}"
            )
    return np.array(values)


def _named(table: Any, label: str) -> list[str] | None:
    """The names of the classes that Hugging Face's `datasets` writes into the metadata, None where there are none."""
    try:
        features = json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (KeyError, ValueError, TypeError):
        return None


def _source(tables: list[tuple[Path, Any]], image: str, labels: np.ndarray, size: int, shorter: int | None) -> Source:
    begins = np.cumsum([0, *(table.num_rows for _, table in tables)])
    columns = [table[image] for _, table in tables]

    def one(number: int) -> Example:
        which = int(np.searchsorted(begins, number, side="right")) - 1
        file, row = tables[which][0], int(number - begins[which])
        pixels = _pixels(file, row, columns[which][row].as_py(), size, shorter)
        return {"image": pixels, "label": np.asarray(labels[number])}

    return one_by_one(len(labels), one)


def _pixels(file: Path, row: int, entry: Any, size: int, shorter: int | None) -> np.ndarray:
    content = entry.get("bytes") if isinstance(entry, dict) else entry
    if content is not None:
        return decode_bytes(content, place=f"{file}, row {row}", size=size, shorter=shorter)
    name = entry.get("path") if isinstance(entry, dict) else None
    if not name:
        raise DataFormatError(file, f"row {row}", "an image", "have bytes or a path", "neither")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataFormatError(file, f"row {row}", "the path of an image", "lie beside the table", f"{name!r}")
    return decode(file.parent / name, size=size, shorter=shorter)
