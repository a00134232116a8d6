"""A data set is a length and a function from an index to an example."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fjdl.errors import DataError
from fjdl.integers import require_kept

Example = Mapping[str, np.ndarray]
Index = int | np.integer | np.ndarray


class Source(NamedTuple):
    """`length` examples; `element(index)` gives one for an integer and a batch of them for an integer array.

    `streamed` says that examples are made when they are asked for, such as images decoded from files, and may be too
    many for memory: training then streams them in place of holding them on the device.
    """

    length: int
    element: Callable[[Index], Example]
    streamed: bool = False


class Picture(NamedTuple):
    """An image file as a data set reads it, and where what its example shows lies in the file."""

    example: Example  # what an example has of the image alone: "image", uint8 [h, w, c], and its like
    original: np.ndarray  # uint8 [height, width, 3], the whole image
    window: tuple[float, float, float, float]  # in its pixels, the corners of what the example's image shows

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """Corners `[k, 4]` in pixels of the example's image as float64 in those of the original, clipped to it."""
        (left, top), scale = self.window[:2], self._scale()
        height, width = self.original.shape[:2]
        found = np.asarray(boxes, np.float64).reshape(-1, 4) * np.tile(scale, 2) + np.array([left, top, left, top])
        return np.clip(found, 0, np.array([width, height, width, height]))

    def mask(self, mask: np.ndarray, *, outside: int = 255) -> np.ndarray:
        """A mask `[h, w]` of the example's image at the original's size, `outside` where that is not in the example.

        A pixel of the original has the value of the pixel that holds its centre.
        """
        (left, top), (across, down) = self.window[:2], self._scale()
        rows, inside = _nearest(self.original.shape[0], top, down, mask.shape[0])
        columns, within = _nearest(self.original.shape[1], left, across, mask.shape[1])
        return np.where(inside[:, None] & within, mask[rows[:, None], columns], outside).astype(mask.dtype)

    def _scale(self) -> np.ndarray:
        """Pixels of the original in one of the example, across and down."""
        x0, y0, x1, y1 = self.window
        height, width = self.example["image"].shape[:2]
        return np.array([(x1 - x0) / width, (y1 - y0) / height])


Reader = Callable[[Path], Picture]  # raises `DataError` for a file that cannot be read


PARTS = ("train", "validation", "test")  # of a data set


@dataclass(frozen=True, kw_only=True)
class Splits:
    """A named data set in three disjoint parts.

    Examples of images are `{"image": uint8 [h, w, c], "label": int32}`, of tables
    `{"features": float32 [d], "label": int32}`; label `k` means `classes[k]`.
    """

    name: str
    train: Source
    validation: Source
    test: Source
    classes: tuple[str, ...]
    left_out: tuple[str, ...] = ()  # a sentence for each file, or part of one, that is not among the examples
    reader: Reader | None = None  # how a file that is in no part becomes what an example has of it

    def files(self) -> Mapping[str, str]:
        """What a run keeps of how the examples were made, as the contents of files by name: nothing."""
        return {}


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Source:
    """The source whose example `i` holds row `i` of every array, without a copy.

    One example is a read-only view; an array of indices gathers a fresh batch. Raises `ValueError` where an array has
    no leading axis or another length than the first.
    """
    views = {name: _read_only(array) for name, array in arrays.items()}
    if not views:
        raise ValueError("arrays must hold at least one array, got none")
    for name, view in views.items():
        if view.ndim == 0:
            raise ValueError(f"every array must have a leading axis of examples, got a scalar for {name!r}")
    first, length = next((name, len(view)) for name, view in views.items())
    for name, view in views.items():
        if len(view) != length:
            raise ValueError(f"all arrays must have the {length} rows of {first!r}, got {len(view)} rows for {name!r}")
    return Source(length, lambda index: {name: np.asarray(view[index]) for name, view in views.items()})


def one_by_one(length: int, one: Callable[[int], Example]) -> Source:
    """The streamed source whose example `i` is `one(i)`, made when it is asked for.

    An array of indices gives the examples of each stacked, in the array's shape; an empty one makes example 0 to know
    the shapes.
    """

    def element(index: Index) -> Example:
        numbers = np.arange(length)[index]  # refuses what lies outside
        if numbers.ndim == 0:
            return one(int(numbers))
        chosen = [one(int(number)) for number in numbers.reshape(-1)] or [one(0)]
        stacked = {name: np.stack([example[name] for example in chosen])[: numbers.size] for name in chosen[0]}
        return {name: array.reshape(*numbers.shape, *array.shape[1:]) for name, array in stacked.items()}

    return Source(length, element, streamed=True)


def to_arrays(source: Source) -> dict[str, np.ndarray]:
    """All examples of `source` stacked along a new leading axis, for the device.

    Raises `DataError` for an integer that JAX would cut off to 32 bits.
    """
    arrays = dict(source.element(np.arange(source.length)))
    for name, array in arrays.items():
        require_device_keeps(f"the data's {name!r}", array)
    return arrays


def require_device_keeps(name: str, array: Any) -> None:
    """Raises `DataError` where an integer of the array needs more bits than arrays of JAX have."""
    try:
        require_kept(name, array)
    except ValueError as error:
        raise DataError(str(error)) from None


def subset(source: Source, indices: np.ndarray) -> Source:
    """The source whose example `i` is example `indices[i]` of `source`; nothing is copied but the indices.

    Raises `ValueError` where the indices are not a vector of integers in `[0, source.length)`.
    """
    chosen = np.array(indices)
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
        raise ValueError(f"indices must be a vector of integers, got {chosen.dtype}{list(chosen.shape)}")
    outside = chosen[(chosen < 0) | (chosen >= source.length)]
    if outside.size:
        raise ValueError(f"indices must lie in [0, {source.length}), got {outside[0]}")
    return Source(len(chosen), lambda index: source.element(chosen[index]), source.streamed)


def joined(first: Source, second: Source) -> Source:
    """The source with the examples of one, then those of another that has the same arrays; nothing is copied.

    >>> both = joined(from_arrays({"x": np.arange(3)}), from_arrays({"x": np.arange(7, 9)}))
    >>> both.element(np.array([4, 0, 3]))["x"]
    array([8, 0, 7])
    """
    total = first.length + second.length

    def element(index: Index) -> Example:
        numbers = np.arange(total)[index]  # refuses what lies outside
        later = numbers >= first.length
        if numbers.ndim == 0:
            return second.element(int(numbers) - first.length) if later else first.element(int(numbers))
        parts = first.element(numbers[~later]), second.element(numbers[later] - first.length)
        found = {name: np.empty((*numbers.shape, *array.shape[1:]), array.dtype) for name, array in parts[0].items()}
        for name, array in found.items():
            array[~later], array[later] = parts[0][name], parts[1][name]
        return found

    return Source(total, element, first.streamed or second.streamed)


def _read_only(array: np.ndarray) -> np.ndarray:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def _nearest(length: int, start: float, scale: float, seen: int) -> tuple[np.ndarray, np.ndarray]:
    """The place among `seen` pixels of each of `length` pixels by its centre, and whether it is one of them."""
    places = np.floor((np.arange(length) + 0.5 - start) / scale + 1e-9).astype(np.int64)
    return np.clip(places, 0, seen - 1), (places >= 0) & (places < seen)
