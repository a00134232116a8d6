"""What a search without gradients returns."""

from collections.abc import Callable
from typing import NamedTuple

from fjdl.typing import Array

Objective = Callable[[Array], Array]  # a vector [d] to a scalar that is to be small; NaN counts as infinite


class Found(NamedTuple):
    """The best point that was seen, its value, and the best value after each step."""

    point: Array  # [d]
    value: Array
    history: Array  # [steps], never rising
