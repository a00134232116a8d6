"""Means and covariances over batches, from deviations and never from differences of large squares."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.fused import fused
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.state import amounts, counts, sums
from fjdl.metrics.state.amounts import Amount
from fjdl.metrics.state.counts import Count
from fjdl.metrics.state.sums import Sum
from fjdl.numerics import full_product, safe_divide, widened
from fjdl.typing import Array, Bool, Float, Num, typed

_BLOCK = 256  # rows of one product


class MeanAndCovariance(NamedTuple):
    """How many examples, their weight, the mean of each variable, and the sums of products of deviations."""

    seen: Count
    weight: Amount
    mean: Sum  # [v]
    scatter: Sum  # [v, v]


@streaming("measure(mean_and_covariance(2), x)")
def mean_and_covariance(variables: int) -> Metric:
    """Mean `[v]` and covariance `1/n Σ (x - x̄)(x - x̄)ᵀ` `[v, v]` of vectors over all batches; NaN when none was seen.

    With weights these are `Σ wx / Σ w` and `Σ w (x - x̄)(x - x̄)ᵀ / Σ w`.

    `update(state, x, weights=None)` with `x` of shape `[*batch, v]`. Batches are merged by the difference of their
    means (Chan, Golub & LeVeque 1979), kept in two floats, so that in float32 a mean of 10⁴ with a deviation of 1
    loses no digits, a constant has a variance of exactly 0, and batches of any sizes give the result of all at once.
    Products of deviations beyond the range of the dtype, 10¹⁹ in float32, are inf. A NaN or an infinite value that
    counts makes the result NaN. The covariance equals `numpy.cov(x, rowvar=False, ddof=0)`.
    """
    at_least(1, variables=variables)

    def init() -> MeanAndCovariance:
        return MeanAndCovariance(
            counts.zero(), amounts.zero(), sums.zero((variables,)), sums.zero((variables, variables))
        )

    @typed
    def update(state: MeanAndCovariance, x: Num[Array, "*batch v"], weights: Weights = None) -> MeanAndCovariance:
        if x.shape[-1] != variables:
            raise ValueError(f"the last axis of x must have length {variables}, got {x.shape[-1]}")
        each = weight_of_each(weights, x.shape[:-1]).reshape(-1)
        rows = jnp.asarray(x).astype(state.mean.total.dtype).reshape(-1, variables)
        return merge(state, _of_batch(rows, each))

    @typed
    def compute(state: MeanAndCovariance) -> tuple[Float[Array, " v"], Float[Array, "v v"]]:
        seen = amounts.to_float(state.weight)
        mean = jnp.where(seen != 0, sums.to_float(state.mean), jnp.nan)
        return mean, safe_divide(sums.to_float(state.scatter), seen, otherwise=jnp.nan)

    return Metric(init, update, merge, compute)


@typed
def merge(a: MeanAndCovariance, b: MeanAndCovariance) -> MeanAndCovariance:
    """Means and covariances of both sets of examples together, by equations 2.1 of Chan, Golub & LeVeque (1979)."""
    return _merged(a, b)


@jax.jit
def _merged(a: MeanAndCovariance, b: MeanAndCovariance) -> MeanAndCovariance:
    seen_a, seen_b = amounts.to_float(a.weight), amounts.to_float(b.weight)
    fraction = safe_divide(seen_b, seen_a + seen_b)
    apart = (b.mean.total - a.mean.total) + (b.mean.remainder - a.mean.remainder)
    apart = jnp.where((seen_a != 0) & (seen_b != 0), apart, 0)
    mean = sums.add(a.mean, _one(apart * fraction))
    mean = jax.tree.map(lambda only, both: jnp.where(seen_a == 0, only, both), b.mean, mean)
    between = _one(apart[:, None] * apart[None, :] * (seen_a * fraction))
    weight = amounts.add(a.weight, b.weight)
    return MeanAndCovariance(
        counts.add(a.seen, b.seen), weight, mean, sums.add(sums.add(a.scatter, b.scatter), between)
    )


@typed
@fused
def centred(x: Num[Array, "n *d"], weights: Num[Array, " n"] | None = None) -> Float[Array, "n *d"]:
    """Each row less the weighted mean of the rows, `x - Σ wx / Σ w`; 0 in rows of weight zero.

    Exactly 0 where all rows that count are equal, because the first of them is taken off before the mean is. Rows of
    weight zero, NaN included, do not count.
    """
    x = widened(x)
    weights = jnp.ones(x.shape[0], x.dtype) if weights is None else jnp.asarray(weights).astype(x.dtype)
    return _deviations(x, weights)[0]


@jax.jit
def _of_batch(x: Float[Array, "n v"], weights: Bool[Array, " n"] | Float[Array, " n"]) -> MeanAndCovariance:
    deviations, mean = _deviations(x, weights.astype(x.dtype))
    seen = counts.of(jnp.sum(weights.astype(bool), dtype=jnp.uint32))
    scaled = deviations if weights.dtype == bool else deviations * weights.astype(x.dtype)[:, None]
    return MeanAndCovariance(seen, amounts.sum_of(weights), mean, _one(_products(scaled, deviations)))


def _products(x: Float[Array, "n v"], y: Float[Array, "n v"]) -> Float[Array, "v v"]:
    """`xᵀy`, multiplied in blocks of rows, as one long product would add up its terms one after the other."""
    x, y = (jnp.pad(z, ((0, -z.shape[0] % _BLOCK), (0, 0))).reshape(-1, _BLOCK, z.shape[1]) for z in (x, y))
    products = full_product(jnp.swapaxes(x, 1, 2), y)
    return jnp.sum(products, axis=0)


def _deviations(x: Float[Array, "n *d"], weights: Float[Array, " n"]) -> tuple[Float[Array, "n *d"], Sum]:
    """Deviations from the weighted mean, and that mean."""
    column = weights.reshape(-1, *[1] * (x.ndim - 1))
    first = _first(x, weights != 0)
    shifted = jnp.where(column != 0, x - first[None], 0)
    offset = safe_divide(jnp.sum(column * shifted, axis=0), jnp.sum(weights))
    mean = sums.add(_one(first), _one(offset))
    return jnp.where(column != 0, shifted - offset[None], 0), mean


def _first(x: Float[Array, "n *d"], chosen: Bool[Array, " n"]) -> Float[Array, "*d"]:
    """The first chosen row, or zeros."""
    if x.shape[0] == 0:
        return jnp.zeros(x.shape[1:], x.dtype)
    return jnp.where(jnp.any(chosen), x[jnp.argmax(chosen)], 0)


def _one(numbers: Float[Array, "*shape"]) -> Sum:
    """The sums of a single term."""
    return Sum(numbers, jnp.zeros_like(numbers))
