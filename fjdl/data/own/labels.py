"""Labels as they are given, integers or strings, and the numbers and names of their classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fjdl.errors import DataFormatError

MOST_CLASSES = 1_000_000


def ordered(names: Mapping[str, Any]) -> list[str]:
    """The names in order, by value where all of them are whole numbers."""
    if all(name.lstrip("-").isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def require_classes(home: str, classes: Sequence[str]) -> None:
    """Raises `DataError` where there is nothing to tell apart."""
    if len(classes) < 2:
        raise DataFormatError(
            home, None, "the label", "have at least two classes", f"{', '.join(classes) or 'none'} alone"
        )


def classes_of(home: str, labels: Sequence[np.ndarray], given: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the classes of labels in several parts: `given` ones, strings in order, or numbers from 0.

    Raises `DataError` for one class alone, for integers in one part and strings in another, and for integers beyond a
    million.
    """
    if len({each.dtype.kind == "U" for each in labels}) > 1:
        raise DataFormatError(home, None, "the labels", "be integers or strings", "both")
    together = np.concatenate(labels)
    require_classes(home, [str(name) for name in np.unique(together)[:2]])
    if given is not None:
        return tuple(given)
    if together.dtype.kind == "U":
        return tuple(ordered(dict.fromkeys(together.tolist())))
    if int(together.max()) >= MOST_CLASSES:
        raise DataFormatError(home, None, "labels", f"lie in [0, {MOST_CLASSES})", f"{int(together.max())}")
    return tuple(str(number) for number in range(int(together.max()) + 1))


def numbered(home: str, labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The number of the class of each label, int32; raises `DataError` with the row of one that is of no class."""
    places = {name: number for number, name in enumerate(classes)}
    strings = labels.dtype.kind == "U"
    numbers = np.array([places.get(name, -1) for name in labels.tolist()]) if strings else labels.astype(np.int64)
    broken = np.flatnonzero((numbers < 0) | (numbers >= len(classes)))
    if broken.size:
        listed = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
        rule = f"the label must be one of {listed}" if strings else f"the label must lie in [0, {len(classes)})"
        raise DataFormatError.told(f"{home}, row {broken[0]}: {rule}, got {labels[broken[0]]!s}")
    return numbers.astype(np.int32)
