"""Images with boxes: what files say of them, and the examples that it makes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from fjdl.data.source import Example, Source, one_by_one
from fjdl.data.vision.fitting import Size, fit_boxes, fit_image, placement
from fjdl.data.vision.images import read_image
from fjdl.errors import DataError, DataFormatError

_Entry = TypeVar("_Entry")


class Objects(NamedTuple):
    """What a file says of the objects in one image, in the pixels of the image file."""

    image: Path
    described: str  # the file, and the place in it, that errors name
    size: Size  # (height, width) of the image as described
    boxes: np.ndarray  # float64 [k, 4], corners
    names: tuple[str, ...]  # their classes
    more: Mapping[str, np.ndarray] = {}  # a row for each, such as "difficult", bool [k]; "area" grows with the image
    facts: Mapping[str, np.ndarray] = {}  # of the image, such as "image_id"


class Gathered(NamedTuple):
    """Images with boxes, and a sentence for each file and each box that is not among them."""

    images: list[Objects]
    left_out: tuple[str, ...]


def clipped(objects: Objects) -> Gathered:
    """The image with its boxes clipped to it, and a sentence for each box that has no area then, which is left out.

    Raises `DataError` for a coordinate that is not finite.
    """
    if not np.all(np.isfinite(objects.boxes)):
        raise DataFormatError(
            objects.described, None, "the coordinates of a box", "be finite", f"{objects.boxes.tolist()}"
        )
    height, width = objects.size
    boxes = np.clip(objects.boxes, 0, np.array([width, height, width, height], np.float64))
    kept = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    gone = tuple(
        f"{objects.described}, object {number + 1}: a box must have an area inside of the image of {width} x {height}, "
        f"got {' '.join(f'{side:g}' for side in objects.boxes[number])}, and is left out"
        for number in np.flatnonzero(~kept)
    )
    names = tuple(name for name, stays in zip(objects.names, kept, strict=True) if stays)
    more = {name: rows[kept] for name, rows in objects.more.items()}
    return Gathered([objects._replace(boxes=boxes[kept], names=names, more=more)], gone)


def gather(
    entries: Iterable[_Entry],
    read: Callable[[_Entry], Objects],
    *,
    classes: Sequence[str] | None = None,
    skip_bad: bool = False,
) -> Gathered:
    """What `read` says of each entry, such as a file, with boxes as `clipped` gives them.

    `classes` are those that there may be. Raises `DataError` for the first entry that cannot be read. With `skip_bad`
    every image is decoded once as well, and what cannot be read is left out with its sentence.
    """

    def one(entry: _Entry) -> Gathered:
        try:
            objects = read(entry)
            _known(objects, classes)
            if skip_bad:
                _read(objects)
            return clipped(objects)
        except DataError as error:
            if not skip_bad:
                raise
            return Gathered([], (f"{error}; the image is left out",))

    with ThreadPoolExecutor() as pool:
        found = list((pool.map if skip_bad else map)(one, entries))
    images = [objects for each in found for objects in each.images]
    return Gathered(images, tuple(sentence for each in found for sentence in each.left_out))


def object_source(
    images: Sequence[Objects],
    *,
    classes: Sequence[str],
    most: int,
    size: Size,
    stretch: bool = False,
    channels: int = 3,
) -> Source:
    """The examples of images with boxes, of which each is decoded when it is asked for.

    An example is `{"image": uint8 [*size, channels], "boxes": float32 [most, 4], "labels": int32 [most], "valid": bool
    [most], "image_size": int32 [2]}` with what the files say more, such as "difficult", "crowd" or "area". The image
    comes to its size as `fit_image` says, and boxes move along; label `k` means `classes[k]`; rows that are not valid
    are 0; "image_size" is the (height, width) of the file's image, for `unfit_boxes`. Raises `DataError` where an
    image has more than `most` boxes; an image that cannot be read, or has another size than is said of it, raises it
    when it is asked for.
    """
    places = {name: number for number, name in enumerate(classes)}
    for objects in images:
        if len(objects.boxes) > most:
            raise DataFormatError(objects.described, None, "there", f"be at most {most} boxes", f"{len(objects.boxes)}")

    def one(number: int) -> Example:
        objects = images[number]
        image = fit_image(_read(objects, channels), size, stretch=stretch)
        labels = np.array([places[name] for name in objects.names], np.int32)
        boxes = fit_boxes(objects.boxes, objects.size, size, stretch=stretch)
        rows = {"boxes": boxes, "labels": labels, "valid": np.ones(len(boxes), bool), **objects.more}
        if "area" in rows:
            place = placement(objects.size, size, stretch=stretch)
            rows["area"] = rows["area"] * np.float32(place.height * place.width / np.prod(objects.size))
        held = {name: filled_up(row, most) for name, row in rows.items()}
        return {"image": image, **held, "image_size": np.array(objects.size, np.int32), **objects.facts}

    return one_by_one(len(images), one)


def filled_up(rows: np.ndarray, most: int) -> np.ndarray:
    """The rows, and 0 for each that is missing to `most`."""
    return np.concatenate([rows, np.zeros((most - len(rows), *rows.shape[1:]), rows.dtype)])


def blank_objects(
    length: int,
    *,
    classes: int,
    most: int,
    shape: tuple[int, int, int],
    more: Mapping[str, type] = {},
    numbered: bool = False,
) -> Source:
    """Black images of a shape with one box each, whose labels go round the classes, and rows of 0 for `more`.

    With `numbered` they have an "image_id".
    """

    def one(number: int) -> Example:
        height, width, _ = shape
        rows = {
            "boxes": np.array([[0, 0, width, height]], np.float32),
            "labels": np.array([number % classes], np.int32),
            "valid": np.ones(1, bool),
            **{name: np.zeros(1, dtype) for name, dtype in more.items()},
        }
        held = {name: filled_up(row, most) for name, row in rows.items()}
        facts = {"image_id": np.array(number, np.int32)} if numbered else {}
        return {"image": np.zeros(shape, np.uint8), **held, "image_size": np.array([height, width], np.int32), **facts}

    return one_by_one(length, one)


def _known(objects: Objects, classes: Sequence[str] | None) -> None:
    for name in objects.names:
        if classes is not None and name not in classes:
            listed = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
            raise DataFormatError(objects.described, None, "the name of an object", f"be one of {listed}", f"{name!r}")


def _read(objects: Objects, channels: int = 3) -> np.ndarray:
    image = read_image(objects.image, channels=channels)
    if image.shape[:2] != objects.size:
        height, width = objects.size
        raise DataFormatError(
            objects.described,
            None,
            "the size",
            f"be that of {objects.image}, {image.shape[1]} x {image.shape[0]}",
            f"{width} x {height}",
        )
    return image
