"""Where options of a run are drawn from: each factory returns a function from [0, 1) to values of one option."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from fjdl.checks import within

Space = Callable[[float], Any]  # the quantile function of an option: equal parts of [0, 1) are equally likely


def uniform(low: float, high: float) -> Space:
    """A number of [low, high), each equally likely; raises `ValueError` unless `low < high`, both finite.

    >>> uniform(0.0, 10.0)(0.25)
    2.5
    """
    _require_order(low, high)
    return lambda share: float(low + (high - low) * share)


def log_uniform(low: float, high: float) -> Space:
    """A number of [low, high) whose logarithm is uniform, as suits learning rates and strengths of penalties.

    Raises `ValueError` unless `0 < low < high`, both finite.

    >>> log_uniform(0.01, 1.0)(0.5)
    0.1
    """
    within("(0, inf)", low=low)
    _require_order(low, high)
    return lambda share: float(low * (high / low) ** share)


def integer(low: int, high: int) -> Space:
    """An integer from `low` to `high`, both included, each equally likely; raises `ValueError` unless `low <= high`.

    >>> integer(1, 4)(0.5)
    3
    """
    if not low <= high:
        raise ValueError(f"low must be at most high, got low={low} and high={high}")
    return lambda share: int(low + math.floor((high - low + 1) * share))


def choice(values: Sequence[Any]) -> Space:
    """One of the values, each equally likely; raises `ValueError` for none.

    >>> choice(("relu", "tanh"))(0.75)
    'tanh'
    """
    if not values:
        raise ValueError("values must hold at least one, got none")
    return lambda share: values[math.floor(len(values) * share)]


def _require_order(low: float, high: float) -> None:
    if not (low < high and math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"low must be smaller than high, both finite, got low={low} and high={high}")
