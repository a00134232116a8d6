"""The values of one hyper-parameter as places on an axis."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_DECADES, _LOW = 0.9, 0.25  # that numbers on a logarithmic axis span at least, and their median's place at most


class Axis(NamedTuple):
    """Where values stand, and what is written there."""

    places: np.ndarray  # of each value; of categories 0, 1 and so on
    log: bool  # whether a logarithmic scale suits them
    labels: tuple[str, ...]  # of categories, none for numbers
    whole: bool = False  # whether they are whole numbers

    @property
    def scaled(self) -> np.ndarray:
        """The places from 0 to 1; 0.5 where all are one."""
        values = np.log10(self.places) if self.log else self.places
        low, high = values.min(), values.max()
        return np.full(values.shape, 0.5) if low == high else (values - low) / (high - low)


def axis_of(values: Sequence[Any]) -> Axis:
    """Numbers stand by their size, other values by their order.

    A logarithmic scale suits positive numbers of which most lie near the lower end of a decade or more, as those drawn
    by their logarithm do.

    >>> axis_of(["sgd", "adam", "sgd"]).labels, axis_of([0.001, 0.01, 0.1]).log
    (('adam', 'sgd'), True)
    """
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        numbers = np.asarray(values, np.float64)
        low, middle, high = numbers.min(), np.median(numbers), numbers.max()
        log = low > 0 and math.log10(high / low) >= _DECADES and middle - low <= _LOW * (high - low)
        return Axis(numbers, bool(log), (), all(isinstance(value, int) for value in values))
    labels = tuple(sorted(set(map(str, values))))
    return Axis(np.array([labels.index(str(value)) for value in values], np.float64), False, labels)
