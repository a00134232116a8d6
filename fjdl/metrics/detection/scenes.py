"""Detections and objects of a whole data set, read into flat arrays of NumPy in double precision."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fjdl.typing import typed

OFFICIAL = {"iscrowd": "crowd", "category_id": "labels", "bbox": "boxes"}  # keys of COCO's files, and the ones here


class Found(NamedTuple):
    """Detections of all images, in the order they were given: `image`, `label` int64, `box [d, 4]`, `score`."""

    image: np.ndarray
    label: np.ndarray
    box: np.ndarray
    score: np.ndarray


class Objects(NamedTuple):
    """Objects of all images, in the order they were given; `ignored` are crowds here, difficult objects elsewhere."""

    image: np.ndarray
    label: np.ndarray
    box: np.ndarray
    area: np.ndarray
    ignored: np.ndarray


@typed
def read_scenes(
    detections: Any, truth: Any, classes: int | None, *, ignored: str
) -> tuple[Found, Objects, np.ndarray, int]:
    """Detections and objects with labels from 0 to K - 1, the `[K]` labels these stand for, and the number of images.

    `ignored` is the key of objects that are not looked for. With `classes` the labels are 0 to `classes - 1` and others
    are left out; without, all that occur, in rising order.
    """
    seen, there = _columns(detections, _DETECTION), _columns(truth, {**_OBJECT, ignored: _flags})
    if seen.images != there.images:
        raise ValueError(f"detections and truth must be of as many images, got {seen.images} and {there.images}")
    label, box, image = (there.columns[name] for name in ("labels", "boxes", "image"))
    found = Found(seen.columns["image"], *(seen.columns[name] for name in ("labels", "boxes", "scores")))
    objects = Objects(image, label, box, _areas(box, there.columns["area"]), there.columns[ignored])
    names = np.union1d(found.label, objects.label) if classes is None else np.arange(classes)
    return _numbered(found, names), _numbered(objects, names), names, seen.images


@typed
def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Areas of boxes `[n, 4]`, 0 of an inverted one, in double precision."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


@typed
def named(entry: Any) -> Mapping[str, Any] | None:
    """The arrays of a mapping or a named tuple by name, `boxes` among them; None for anything else.

    Raises `ValueError` for keys of COCO's files, which would be overlooked.
    """
    fields = entry._asdict() if hasattr(entry, "_asdict") else entry
    if not isinstance(fields, Mapping):
        return None
    for name, ours in OFFICIAL.items():
        if name in fields:
            raise ValueError(f"the key of {ours} must be {ours!r}, got {name!r}")
    if "boxes" not in fields:
        raise ValueError(f"detections and truth must have the key 'boxes', got {sorted(fields)}")
    return fields


class _Read(NamedTuple):
    columns: dict[str, np.ndarray]
    images: int


Reader = Callable[[str, Any, tuple[int, ...]], np.ndarray]


def _columns(entries: Any, readers: Mapping[str, Reader]) -> _Read:
    """The valid rows of all images under each name, and under "image" the image of each."""
    fields = named(entries)
    if fields is None:
        if not isinstance(entries, Sequence):
            kind = type(entries).__name__
            raise ValueError(f"detections and truth must be mappings, or sequences of them, got {kind}")
        return _of_each_image(entries, readers)
    boxes = np.asarray(fields["boxes"])
    if boxes.ndim != 3:
        raise ValueError(f"boxes of all images must have the shape [images, boxes, 4], got {boxes.shape}")
    valid = _flags("valid", fields.get("valid"), boxes.shape[:2]).astype(bool)
    columns = {name: read(name, fields.get(name), boxes.shape[:2])[valid] for name, read in readers.items()}
    return _Read({**columns, "image": np.nonzero(valid)[0]}, len(boxes))


def _of_each_image(entries: Sequence[Any], readers: Mapping[str, Reader]) -> _Read:
    rows: dict[str, list[np.ndarray]] = {name: [] for name in readers}
    lengths = []
    for entry in entries:
        fields = named(entry)
        if fields is None:
            raise ValueError(f"each image must be a mapping or a named tuple, got {type(entry).__name__}")
        shape = (len(fields["boxes"]),)
        valid = None if fields.get("valid") is None else np.asarray(fields["valid"], bool)
        for name, read in readers.items():
            column = read(name, fields.get(name), shape)
            rows[name].append(column if valid is None else column[valid])
        lengths.append(len(rows["boxes"][-1]))
    empty = {name: read(name, np.zeros((0, 4)) if name == "boxes" else None, (0,)) for name, read in readers.items()}
    columns = {name: np.concatenate([empty[name], *parts]) for name, parts in rows.items()}
    return _Read({**columns, "image": np.repeat(np.arange(len(entries)), lengths)}, len(entries))


def _boxes(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    boxes = np.asarray(value, np.float64)
    if boxes.shape == (0,):
        boxes = boxes.reshape(0, 4)
    return _of_shape(name, boxes, (*shape, 4))


def _labels(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    labels = np.asarray(_needed(name, value, shape, np.zeros(0, int)))
    if labels.size and labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be integers, got {labels.dtype}")
    return _of_shape(name, labels.astype(np.int64), shape)


def _scores(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    return _of_shape(name, np.asarray(_needed(name, value, shape, np.zeros(0)), np.float64), shape)


def _optional_areas(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Areas, and -1 where none is given."""
    return np.full(shape, -1.0) if value is None else _of_shape(name, np.asarray(value, np.float64), shape)


def _flags(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Booleans; where none are given, all valid and nothing else."""
    return np.full(shape, name == "valid") if value is None else _of_shape(name, np.asarray(value, bool), shape)


def _needed(name: str, value: Any, shape: tuple[int, ...], nothing: np.ndarray) -> Any:
    if value is None and shape != (0,):
        raise ValueError(f"boxes must have {name} beside them, got none")
    return nothing if value is None else value


def _of_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, as boxes have, got {array.shape}")
    return array


def _areas(boxes: np.ndarray, areas: np.ndarray) -> np.ndarray:
    return np.where(areas < 0, box_areas(boxes), areas)


def _numbered(rows: Any, names: np.ndarray) -> Any:
    """The rows whose label is one of the names, with its place among them for a label."""
    place = np.searchsorted(names, rows.label)
    known = (place < len(names)) & (names[np.minimum(place, len(names) - 1)] == rows.label) if len(names) else place < 0
    return type(rows)(*(column[known] for column in rows._replace(label=place)))


_DETECTION: dict[str, Reader] = {"boxes": _boxes, "labels": _labels, "scores": _scores}
_OBJECT: dict[str, Reader] = {"boxes": _boxes, "labels": _labels, "area": _optional_areas}
