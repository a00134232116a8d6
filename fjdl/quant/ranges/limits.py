"""Ranges by the extremes of what was seen, by their moving average, and stated ones."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.metrics.base import Weights, counted
from fjdl.numerics import widened
from fjdl.quant.grid import refuse_nan
from fjdl.quant.ranges.base import Calibrator, Range, require_seen
from fjdl.typing import Array, Float, Number, typed


class Extremes(NamedTuple):
    """The lowest and the highest number so far; ∞ and −∞ before the first."""

    low: Array
    high: Array


@typed
def minmax(*, channels: int | None = None) -> Calibrator:
    """The lowest and the highest number of all, exactly, however they were split.

    With `channels` there is a range for each entry of the last axis, which has that length.
    """
    at_least(1, channels=channels)
    shape = () if channels is None else (channels,)

    def init() -> Extremes:
        return Extremes(jnp.full(shape, jnp.inf), jnp.full(shape, -jnp.inf))

    @typed
    def update(state: Extremes, x: Float[Array, "..."], weights: Weights = None) -> Extremes:
        return merge(state, extremes(x, weights, channels=channels))

    @typed
    def merge(a: Extremes, b: Extremes) -> Extremes:
        return Extremes(jnp.minimum(a.low, b.low), jnp.maximum(a.high, b.high))

    @typed
    def compute(state: Extremes) -> Range:
        require_seen(~(state.low > state.high))
        return Range(state.low, state.high)

    return Calibrator(init, update, merge, compute)


@typed
def extremes(x: Float[Array, "..."], weights: Weights = None, *, channels: int | None = None) -> Extremes:
    """Those of one batch, of all entries that count, or of each entry of the last axis."""
    if channels is not None and (x.ndim == 0 or x.shape[-1] != channels):
        raise ValueError(f"x must have {channels} channels along its last axis, got shape {tuple(x.shape)}")
    x = widened(x).astype(jnp.float32)
    refuse_nan(x)
    kept, axes = counted(weights, x.shape), tuple(range(x.ndim - (channels is not None)))
    low = jnp.min(jnp.where(kept, x, jnp.inf), axis=axes, initial=jnp.inf)
    return Extremes(low, jnp.max(jnp.where(kept, x, -jnp.inf), axis=axes, initial=-jnp.inf))


class Averages(NamedTuple):
    """Sums of the extremes of batches, each times what its weight has become, and the sum of these weights."""

    low: Array
    high: Array
    weight: Array
    kept: Array  # what is left of the weight of a batch before all of these


@typed
def moving_average(*, decay: Number = 0.99, channels: int | None = None) -> Calibrator:
    """The moving average of the extremes of batches, as in training: each batch weighs `decay` times its successor.

    The first batches are not drawn to 0: the average is divided by the sum of the weights. The order of batches counts:
    `merge(a, b)` is that of the batches of `a` and then those of `b`, exactly as if they had come one by one, to
    rounding. A batch without entries that count changes nothing. Raises `ValueError` for a decay outside [0, 1).
    Jacob et al. 2018, arXiv:1712.05877, 3.1.
    """
    within("[0, 1)", decay=decay)
    at_least(1, channels=channels)
    shape = () if channels is None else (channels,)

    def init() -> Averages:
        return Averages(jnp.zeros(shape), jnp.zeros(shape), jnp.zeros(shape), jnp.ones(shape))

    @typed
    def update(state: Averages, x: Float[Array, "..."], weights: Weights = None) -> Averages:
        batch = extremes(x, weights, channels=channels)
        seen = ~(batch.low > batch.high)
        share = jnp.where(seen, 1 - jnp.asarray(decay, jnp.float32), 0)
        low, high = (jnp.where(seen, share * limit, 0) for limit in batch)
        return merge(state, Averages(low, high, share, jnp.where(seen, jnp.asarray(decay, jnp.float32), 1)))

    @typed
    def merge(a: Averages, b: Averages) -> Averages:
        low, high, weight = (old * b.kept + new for old, new in zip(a[:3], b[:3], strict=True))
        return Averages(low, high, weight, a.kept * b.kept)

    @typed
    def compute(state: Averages) -> Range:
        require_seen(state.weight != 0)
        return Range(state.low / state.weight, state.high / state.weight)

    return Calibrator(init, update, merge, compute)


@typed
def fixed(low: Number, high: Number) -> Calibrator:
    """The range [low, high], whatever is seen: of an activation such as ReLU6 that is known to end there.

    Raises `ValueError` unless low < high.
    """
    if isinstance(low, int | float) and isinstance(high, int | float) and not low < high:
        raise ValueError(f"high must be above low, got {high} and {low}")
    limits = Range(jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32))

    @typed
    def update(state: tuple[()], x: Float[Array, "..."], weights: Weights = None) -> tuple[()]:
        del x, weights
        return state

    return Calibrator(lambda: (), update, lambda a, b: a, lambda state: limits)
