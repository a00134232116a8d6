"""Data sets in the layout of YOLO: `images/<part>`, `labels/<part>` and a list of classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fjdl.data.blank import absent, found_or_blank
from fjdl.data.image_folder import SUFFIXES
from fjdl.data.source import Splits
from fjdl.data.text.lines import read_lines
from fjdl.data.vision.fitting import Size
from fjdl.data.vision.images import image_size
from fjdl.data.vision.objects import Gathered, Objects, gather
from fjdl.data.vision.parts import as_size, blank_detection, object_splits
from fjdl.errors import DataFormatError


def yolo(
    path: Path | str,
    *,
    size: int | Size,
    stretch: bool = False,
    parts: Sequence[str] = ("train", "val", "test"),
    classes: Sequence[str] | None = None,
    most: int | None = None,
    validation: float = 0.1,
    split_seed: int = 0,
    skip_bad: bool = False,
) -> Splits:
    """The images below `images/<part>` with the boxes of the same names, ending in .txt, below `labels/<part>`.

    Classes are the lines of `classes.txt` in `path` unless they are given. An image without a file of labels has no
    objects. Examples are those of `object_source`; parts, `most`, `left_out`, `skip_bad` and errors are those of `voc`.
    """
    root, size = Path(path), as_size(size)

    def find() -> Splits:
        names = tuple(classes) if classes is not None else read_classes(root / "classes.txt")
        found = [_listed(root, part, names, skip_bad) for part in parts]
        return object_splits(
            root.resolve().name, found, size=size, classes=names, most=most, stretch=stretch,
            validation=validation, split_seed=split_seed,
        )  # fmt: skip

    return found_or_blank(str(path), find, blank_detection(root.resolve().name, size, most=most))


def read_classes(path: Path | str) -> tuple[str, ...]:
    """The names of classes in a file, one a line, in the order of their numbers.

    Raises `DataError` where the file is missing, a line is empty before the last, or a name is there twice.
    """
    if not Path(path).is_file():
        raise absent(f"{path} must be a list of classes, got no such file")
    names = [line.strip() for line in read_lines(path)]
    while names and not names[-1]:
        names.pop()
    if not names or not all(names) or len({*names}) != len(names):
        raise DataFormatError(path, None, "each line", "be a name of its own", f"{names[:10]}")
    return tuple(names)


def read_yolo(path: Path | str, image: Path, *, classes: Sequence[str]) -> Objects:
    """The boxes of a file of lines `class x y width height`: centre and sides as parts of the image's sides.

    They become corners in pixels, `(x ± width/2) · w` and `(y ± height/2) · h`. A file that is not there holds none;
    empty lines count nothing. Raises `DataError` with the line's number for another number of fields, a class that is
    not a number in `[0, len(classes))`, and a coordinate that is not in [0, 1].
    """
    height, width = image_size(image)
    boxes, names = [], []
    for number, line in enumerate(read_lines(path) if Path(path).is_file() else (), 1):
        fields = line.split()
        if not fields:
            continue
        place = f"{path}, line {number}"
        if len(fields) != 5:
            raise DataFormatError(place, None, "a line", "hold a class and 4 numbers", f"{len(fields)} fields")
        if not (fields[0].isascii() and fields[0].isdigit() and int(fields[0][:9]) < len(classes)):
            raise DataFormatError(
                place, None, "the class", f"be a number in [0, {len(classes)})", f"{fields[0][:20]!r}"
            )
        x, y, across, down = (_share(field, place) for field in fields[1:])
        boxes.append([x - across / 2, y - down / 2, x + across / 2, y + down / 2])
        names.append(classes[int(fields[0][:9])])
    corners = np.array(boxes, np.float64).reshape(-1, 4) * np.array([width, height, width, height])
    return Objects(image, str(path), (height, width), corners, tuple(names))


def _share(field: str, place: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise DataFormatError(place, None, "a coordinate", "be a number in [0, 1]", f"{field[:20]!r}")
    return value


def _listed(root: Path, part: str, classes: Sequence[str], skip_bad: bool) -> Gathered:
    folder = root / "images" / part
    if not folder.is_dir():
        raise absent(f"{folder} must be a folder of images, got no such folder")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)

    def read(file: Path) -> Objects:
        labels = (root / "labels" / part / file.relative_to(folder)).with_suffix(".txt")
        return read_yolo(labels, file, classes=classes)

    return gather(files, read, skip_bad=skip_bad)
