"""Images with the boxes of a table of comma-separated values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fjdl.data.blank import absent, found_or_blank
from fjdl.data.source import Splits
from fjdl.data.text.formats import read_csv
from fjdl.data.vision.fitting import Size
from fjdl.data.vision.images import image_size
from fjdl.data.vision.objects import Gathered, Objects, gather
from fjdl.data.vision.parts import as_size, blank_detection, object_splits
from fjdl.errors import DataFormatError

COLUMNS = ("image", "x0", "y0", "x1", "y1", "label")


def box_tables(
    path: Path | str,
    *,
    size: int | Size,
    stretch: bool = False,
    parts: Sequence[str] = ("train.csv", "val.csv", "test.csv"),
    columns: Sequence[str] = COLUMNS,
    classes: Sequence[str] | None = None,
    most: int | None = None,
    validation: float = 0.1,
    split_seed: int = 0,
    skip_bad: bool = False,
) -> Splits:
    """The images and boxes of tables in the folder `path`, whose first line names their columns.

    A row is one box: the image's file as seen from the table's folder, the corners in pixels, where pixel (0, 0) covers
    [0, 1] × [0, 1], and the name of the class; `columns` are the names of these six columns. A row with only an image
    says that the image has no objects. Images are in the order in which they occur first. Examples are those of
    `object_source`; parts, classes, `most`, `left_out`, `skip_bad` and errors are those of `voc`.
    """
    root, size = Path(path), as_size(size)

    def find() -> Splits:
        found = [_listed(root / part, columns, classes, skip_bad) for part in parts]
        return object_splits(
            root.resolve().name, found, size=size, classes=classes, most=most, stretch=stretch,
            validation=validation, split_seed=split_seed,
        )  # fmt: skip

    return found_or_blank(str(path), find, blank_detection(root.resolve().name, size, most=most))


def _listed(path: Path, columns: Sequence[str], classes: Sequence[str] | None, skip_bad: bool) -> Gathered:
    if not path.is_file():
        raise absent(f"{path} must be a table of boxes, got no such file")
    table = read_csv(path, columns=columns)
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(table[columns[0]]):
        rows.setdefault(name, []).append(row)
    return gather(
        rows, lambda name: _objects(path, table, columns, name, rows[name]), classes=classes, skip_bad=skip_bad
    )


def _objects(
    path: Path, table: Mapping[str, Sequence[str]], columns: Sequence[str], name: str, rows: Sequence[int]
) -> Objects:
    boxes, names = [], []
    for row in rows:
        fields = [table[column][row] for column in columns[1:]]
        if not any(fields):
            continue
        try:
            corners = [float(field) for field in fields[:4]]
        except ValueError:
            raise DataFormatError(path, f"row {row + 1}", "the corners", "be numbers", f"{fields[:4]}") from None
        if corners[2] < corners[0] or corners[3] < corners[1] or not fields[4]:
            raise DataFormatError(path, f"row {row + 1}", "a row", "hold corners that ascend and a label", f"{fields}")
        boxes.append(corners)
        names.append(fields[4])
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataFormatError(path, f"row {rows[0] + 1}", "the image", "be in the table's folder", f"{name!r}")
    image = path.parent / name
    return Objects(
        image, f"{path}, image {name}", image_size(image), np.array(boxes, np.float64).reshape(-1, 4), tuple(names)
    )
