"""The running mean of real values."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.state import amounts, sums
from fjdl.metrics.state.amounts import Amount
from fjdl.metrics.state.sums import Sum
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Bool, Float, Scalar, typed


class MeanState(NamedTuple):
    """The sum so far as `total + remainder`, and how much the values in it weigh."""

    total: Scalar
    remainder: Scalar
    seen: Amount


@streaming("measure(mean(), values)")
def mean() -> Metric:
    """Mean of real values over all batches, `Σ wv / Σ w`, `update(state, values, weights=None)`.

    NaN when nothing was seen. The sum over batches is kept in two floats (Dekker 1971), so that a million batches are
    as exact as one. Values of weight zero, NaN included, do not count; a NaN or an infinite value that counts makes the
    result NaN or infinite.
    """

    def init() -> MeanState:
        return MeanState(jnp.zeros(()), jnp.zeros(()), amounts.zero())

    @typed
    def update(state: MeanState, values: Float[Array, "*batch"], weights: Weights = None) -> MeanState:
        each = weight_of_each(weights, values.shape)
        batch_total = jnp.sum(weighted(widened(values), each)).astype(state.total.dtype)
        return merge(state, MeanState(batch_total, jnp.zeros_like(batch_total), amounts.sum_of(each)))

    @typed
    def merge(a: MeanState, b: MeanState) -> MeanState:
        merged = sums.add(Sum(a.total, a.remainder), Sum(b.total, b.remainder))
        return MeanState(merged.total, merged.remainder, amounts.add(a.seen, b.seen))

    @typed
    def compute(state: MeanState) -> Scalar:
        return safe_divide(state.total + state.remainder, amounts.to_float(state.seen), otherwise=jnp.nan)

    return Metric(init, update, merge, compute)


@typed
def weighted(
    values: Float[Array, "*batch"], weights: Bool[Array, "*batch"] | Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """The values times their weights; 0 where a weight is 0, whatever the value."""
    kept = jnp.where(weights.astype(bool), values, 0)
    return kept if weights.dtype == bool else kept * weights.astype(kept.dtype)
