"""Numbers of words and strings as a caller gives them, checked before they become int32, places or keys."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fjdl.calls import received
from fjdl.integers import require_fit


def integers(name: str, values: Any, *, below: int | None = None) -> np.ndarray:
    """The values as an array of integers, int32 where there are none.

    Raises `ValueError` for anything else, and for one outside `[0, below)`, or outside int32 without `below`.
    """
    found = _array(name, values)
    if not found.size:
        return found.astype(np.int32)
    if not _whole(found):
        raise ValueError(f"{name} must be integers, got {shown(values)}")
    if below is None:
        require_fit(name, found, np.int32, remedy="")
    elif found.min() < 0 or found.max() >= below:
        raise ValueError(f"{name} must lie in [0, {below}), got {found.min()} to {found.max()}")
    return found


def vector(name: str, values: Any, *, below: int | None = None) -> np.ndarray:
    """As `integers` for a vector, which is refused in any other shape."""
    found = _array(name, values)
    if found.ndim != 1 or (found.size and not _whole(found)):
        raise ValueError(f"{name} must be a vector of integers, got {shown(values)}")
    return integers(name, found, below=below)


def strings(name: str, values: Iterable[str]) -> Sequence[str]:
    """The values in a sequence; raises `ValueError` for one that is no string."""
    listed = values if isinstance(values, list | tuple) else list(iterable(name, values))
    if not all(issubclass(kind, str) for kind in {*map(type, listed)}):
        wrong = next(value for value in listed if not isinstance(value, str))
        raise ValueError(f"{name} must be strings, got {received(wrong)}")
    return listed


def names(name: str, values: Iterable[str] | None) -> tuple[str, ...] | None:
    """The values as a tuple of different strings, None as it is; raises `ValueError` for one string in their place."""
    if values is None:
        return None
    listed = tuple(strings(name, not_one(name, values)))
    if len({*listed}) != len(listed):
        twice = next(value for place, value in enumerate(listed) if value in listed[:place])
        raise ValueError(f"{name} must be distinct, got {twice!r} twice")
    return listed


def not_one(name: str, values: Iterable[str]) -> Iterable[str]:
    """The values; raises `ValueError` for one string, whose characters they would be."""
    if isinstance(values, str | bytes):
        raise ValueError(f"{name} must be a sequence of strings, got one alone, {received(values)}: put it in a list")
    return iterable(name, values)


def shown(values: Any) -> str:
    """What was given, on one line; of an array its dtype and shape."""
    return f"{values.dtype}{list(values.shape)}" if hasattr(values, "dtype") else received(values)


def iterable(name: str, values: Iterable[str]) -> Iterable[str]:
    """The values; raises `ValueError` for what has none."""
    if not isinstance(values, Iterable):
        raise ValueError(f"{name} must be strings, got {received(values)}")
    return values


def _whole(found: np.ndarray) -> bool:
    """Whether they are integers; those of Python that no dtype holds are objects."""
    return found.dtype.kind in "iu" or (found.dtype == object and all(isinstance(value, int) for value in found.flat))


def _array(name: str, values: Any) -> np.ndarray:
    listed = list(values) if isinstance(values, Iterable) and not hasattr(values, "__len__") else values
    try:
        return np.asarray(listed)
    except ValueError:
        raise ValueError(f"{name} must be integers, got rows of different lengths") from None
