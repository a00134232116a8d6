"""The running mean of real values."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.metrics import counts, sums
from fjdl.metrics.base import Metric, Weights, counted
from fjdl.metrics.counts import Count
from fjdl.metrics.sums import Sum
from fjdl.numerics import accumulate, safe_divide
from fjdl.typing import Array, Float, Scalar, typed


class MeanState(NamedTuple):
    """The sum so far as `total + remainder`, and how many values are in it."""

    total: Scalar
    remainder: Scalar
    seen: Count


@typed
def mean() -> Metric:
    """Mean of real values over all batches, `update(state, values, weights=None)`; NaN when nothing was seen.

    The sum over batches is kept in two floats (Dekker 1971), so that a million batches are as exact as one. Values of
    weight zero, NaN included, do not count; a NaN or an infinite value that counts makes the result NaN or infinite.
    """

    def init() -> MeanState:
        return MeanState(jnp.zeros(()), jnp.zeros(()), counts.zero())

    @typed
    def update(state: MeanState, values: Float[Array, "*batch"], weights: Weights = None) -> MeanState:
        chosen = counted(weights, values.shape)
        batch_total = jnp.sum(jnp.where(chosen, accumulate(values), 0)).astype(state.total.dtype)
        batch_seen = counts.of(jnp.sum(chosen, dtype=jnp.uint32))
        return merge(state, MeanState(batch_total, jnp.zeros_like(batch_total), batch_seen))

    @typed
    def merge(a: MeanState, b: MeanState) -> MeanState:
        merged = sums.add(Sum(a.total, a.remainder), Sum(b.total, b.remainder))
        return MeanState(merged.total, merged.remainder, counts.add(a.seen, b.seen))

    @typed
    def compute(state: MeanState) -> Scalar:
        return safe_divide(state.total + state.remainder, counts.to_float(state.seen), otherwise=jnp.nan)

    return Metric(init, update, merge, compute)
