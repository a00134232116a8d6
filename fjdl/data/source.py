"""A data set is a length and a function from an index to an example."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def _read_only(array: np.ndarray) -> np.ndarray:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
