"""A calibrator is four pure functions over a state of fixed shapes; its result is a range."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from fjdl.checks import known
from fjdl.metrics.base import Weights
from fjdl.typing import Array, Float, Shaped, typed


class Range(NamedTuple):
    """The lowest and the highest number that a grid is to hold; one of each, or one for each channel."""

    low: Array
    high: Array

    @property
    def largest(self) -> Array:
        """The larger absolute value of both: what a symmetric grid is to hold."""
        return jnp.maximum(jnp.abs(self.low), jnp.abs(self.high))


class Calibrator(NamedTuple):
    """How a range is found, as functions that all work under `jit` and `scan`.

    `init()` is the state before any number. `update(state, x, weights=None)` looks at a batch; entries whose weight is
    0 or False are left out, as those of examples that only fill up a batch. `merge(a, b)` is the state of both
    together, of other batches or another device. `compute(state)` is the `Range`; it raises `ValueError` for a known
    state that has seen no number. A known NaN raises `ValueError` too, and a traced one makes the range NaN.
    """

    init: Callable[[], Any]
    update: Callable[..., Any]
    merge: Callable[[Any, Any], Any]
    compute: Callable[[Any], Range]


@typed
def range_of(calibrator: Calibrator, x: Float[Array, "..."], *, weights: Weights = None) -> Range:
    """The range of one batch: `init`, `update`, `compute`.

    >>> from fjdl.quant.ranges import minmax
    >>> range_of(minmax(), jnp.array([3.0, -4.0])).largest
    Array(4., dtype=float32)
    """
    return calibrator.compute(calibrator.update(calibrator.init(), x, weights=weights))


@typed
def require_seen(seen: Shaped[Array, "..."]) -> None:
    """Raises `ValueError` where it is known that nothing was seen: where no entry of `seen` is true."""
    value = known(seen)
    if value is not None and not bool(value.any()):
        raise ValueError("a range must be computed of numbers that were seen, got a state without any: update it first")
