"""What a search without gradients returns."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fjdl.typing import Array

Objective = Callable[[Array], Array]  # a vector [d] to a scalar that is to be small; NaN counts as infinite


class Found(NamedTuple):
    """The best point that was seen, its value, and the best value after each step."""

    point: Array  # [d]
    value: Array
    history: Array  # [steps], never rising


class Tried(NamedTuple):
    """What a search on the host found, and all that it tried; everything is a Python object."""

    point: dict[str, Any]  # the best one, a value for each option
    value: float
    history: tuple[float, ...]  # the least value after each trial, never rising
    points: tuple[dict[str, Any], ...]  # in the order in which they were tried
    values: tuple[float, ...]
