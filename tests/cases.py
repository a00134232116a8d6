"""One table of everything public with a way to build its inputs; `test_laws.py` holds each law once over it.

A new public function of floors 1 and 2 is one new row here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """One public function under the laws."""

    function: Callable[..., Any]  # options already bound, arrays positional
    inputs: Callable[[np.random.Generator], tuple[Any, ...]]  # float32/int32 numpy arrays, and typed keys
    differentiable: tuple[int, ...] = ()  # positions of smooth float arguments, away from kinks
    result: str | None = "same"  # dtype of the result for bfloat16 inputs; "same" = bfloat16; None = not a float function
    vmappable: bool = True
    label: str = ""

    @property
    def name(self) -> str:
        target = getattr(self.function, "func", self.function)
        return f"{target.__module__.removeprefix('fjdl.')}.{target.__qualname__}{self.label and '-' + self.label}"


def normal(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.standard_normal(shape).astype(np.float32)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.uniform(low, high, shape).astype(np.float32)


def labels(*shape: int, classes: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, classes, shape).astype(np.int32)


def inputs(*makers: Callable[[np.random.Generator], Any]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    return lambda rng: tuple(make(rng) for make in makers)


# --- functional

FUNCTIONAL: list[Case] = []

# --- losses

LOSSES: list[Case] = []

# --- metrics

METRICS: list[Case] = []

# --- schedules

SCHEDULES: list[Case] = []

# --- quant

QUANT: list[Case] = []

CASES = [*FUNCTIONAL, *LOSSES, *METRICS, *SCHEDULES, *QUANT]
