"""Means over parts of examples, such as tokens of sentences, with the error that comes from drawing whole examples."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.state import amounts, sums
from fjdl.metrics.state.amounts import Amount
from fjdl.metrics.state.mean import weighted
from fjdl.metrics.state.sums import Sum
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Float, Scalar, typed


class RatioState(NamedTuple):
    """Sums over examples of x, y, x², xy and y², and how many there are."""

    moments: Sum  # [5]
    seen: Amount


class Ratio(NamedTuple):
    """A ratio of two sums, its standard error, and the sum below; all scalars."""

    value: Array
    error: Array
    size: Array


@streaming("measure(ratio_of_sums(), totals, sizes)")
def ratio_of_sums() -> Metric:
    """The `Ratio` Σ totals / Σ sizes over examples, as nats per token: `update(state, totals, sizes, weights=None)`.

    The error is √(n/(n-1) Σ (totalᵢ - ratio · sizeᵢ)²) / Σ sizes over n examples, by the delta method (Cochran 1977,
    chapter 6): parts of one example may depend on one another, examples may not. It is NaN for fewer than two examples,
    and all is NaN where the sizes add up to 0. Sums are kept in two floats.
    """

    def init() -> RatioState:
        return RatioState(sums.zero((5,)), amounts.zero())

    @typed
    def update(
        state: RatioState, totals: Float[Array, "*batch"], sizes: Float[Array, "*batch"], weights: Weights = None
    ) -> RatioState:
        each = weight_of_each(weights, totals.shape).ravel()
        dtype = state.moments.total.dtype
        x, y = (weighted(widened(v).ravel(), each.astype(bool)).astype(dtype) for v in (totals, sizes))
        moments = [weighted(product, each) for product in (x, y, x * x, x * y, y * y)]
        return merge(state, RatioState(sums.of(jnp.stack(moments, axis=-1)), amounts.sum_of(each)))

    @typed
    def merge(a: RatioState, b: RatioState) -> RatioState:
        return RatioState(sums.add(a.moments, b.moments), amounts.add(a.seen, b.seen))

    @typed
    def compute(state: RatioState) -> Ratio:
        x, y, xx, xy, yy = sums.to_float(state.moments)
        value, n = safe_divide(x, y, otherwise=jnp.nan), amounts.to_float(state.seen)
        spread = jnp.maximum(xx - 2 * value * xy + value**2 * yy, 0)
        of_mean = safe_divide(n, jnp.where(n > 1, n - 1, 0), otherwise=jnp.nan)
        return Ratio(value, jnp.sqrt(of_mean * spread) / y, y)

    return Metric(init, update, merge, compute)


@typed
def ratio_interval(ratio: Ratio, *, deviations: float = 1.959964) -> tuple[Scalar, Scalar]:
    """The ratio less and plus so many standard errors, by default those of a confidence of 95 %.

    >>> from fjdl.metrics import measure, ratio_of_sums
    >>> found = measure(ratio_of_sums(), jnp.array([2.0, 6.0]), jnp.array([1.0, 2.0]))
    >>> ratio_interval(found, deviations=1.0)
    (Array(2.222..., dtype=float32), Array(3.111..., dtype=float32))
    """
    value, away = widened(ratio.value), deviations * widened(ratio.error)
    return value - away, value + away
