"""The range whose quantized distribution tells least apart from that of what was seen."""

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.metrics.base import Weights
from fjdl.quant.grid import SMALLEST
from fjdl.quant.ranges.base import Calibrator, Range, require_seen
from fjdl.quant.ranges.histogram import Density, Histogram, empty, histogram, magnitudes, merged
from fjdl.typing import Array, Float, Integer, Scalar, typed

_BINS = 2048  # of equal width, from 0 to the largest absolute value
_STEP = 8  # bins between one candidate and the next


@typed
def kl_optimal(*, bits: int = 8) -> Calibrator:
    """The range [−t, t], limited to the extremes, of the threshold t with the least Kullback–Leibler divergence.

    Absolute values are counted in 2048 bins up to the largest. A threshold keeps the first of them, with all beyond
    added to the last one; the distribution on 2^(bits−1) levels is compared with that (Migacz 2017, "8-bit inference
    with TensorRT"). Zeros are on every grid and do not count. The bins are made of a histogram, see `percentile`, so
    the state is exact whatever the split. Raises `ValueError` for bits outside [2, 8].
    """
    within("[2, 8]", bits=bits)

    @typed
    def update(state: Histogram, x: Float[Array, "..."], weights: Weights = None) -> Histogram:
        return merged(state, histogram(x, weights))

    @typed
    def compute(state: Histogram) -> Range:
        require_seen(~(state.extremes.low > state.extremes.high))
        return _least_divergence(state, levels=2 ** (bits - 1))

    return Calibrator(empty, update, merged, compute)


@fused
def _least_divergence(state: Histogram, *, levels: int) -> Range:
    low, high = state.extremes
    threshold = _threshold(magnitudes(state), levels=levels)
    return Range(jnp.maximum(low, -threshold), jnp.minimum(high, threshold))


def _threshold(found: Density, *, levels: int) -> Scalar:
    largest = found.right[-1]
    edges = largest * jnp.linspace(0.0, 1.0, _BINS + 1)
    total = jnp.cumsum(found.amount)
    below = jnp.interp(edges, jnp.append(0.0, found.right), jnp.append(0.0, total))
    amounts = jnp.diff(below.at[-1].set(total[-1]))  # the last bin has no width where all lie at its edge
    kept = jnp.arange(levels, _BINS + 1, _STEP)
    divergences = jax.lax.map(lambda n: divergence(amounts, n, levels=levels), kept)
    return edges[kept[jnp.argmin(divergences)]]


@typed
def divergence(amounts: Float[Array, "n"], kept: Integer[Array, ""], *, levels: int) -> Scalar:
    """Of the first `kept` bins, with all others added to the last of them, from themselves on so many levels, in nats.

    ∞ where a bin that holds something gets nothing from its level.
    """
    place = jnp.arange(amounts.shape[0])
    inside = jnp.where(place < kept, amounts, 0)
    outside = jnp.sum(jnp.where(place < kept, 0, amounts))
    true = inside + jnp.where(place == kept - 1, outside, 0)
    level = jnp.where(place < kept, place * levels // kept, levels)
    filled = (true > 0).astype(jnp.float32)
    sums, members = (jnp.zeros(levels + 1).at[level].add(part) for part in (inside, filled))
    coarse = filled * (sums / jnp.maximum(members, 1))[level]
    p, q = (part / jnp.maximum(jnp.sum(part), SMALLEST) for part in (true, coarse))
    ratio = jnp.where(p > 0, p / jnp.where(q > 0, q, 1), 1)
    return jnp.where(jnp.any((p > 0) & (q == 0)), jnp.inf, jnp.sum(p * jnp.log(ratio)))
