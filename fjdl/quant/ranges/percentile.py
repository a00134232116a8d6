"""The range that leaves out a stated part of the numbers at either end."""

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.metrics.base import Weights
from fjdl.quant.ranges.base import Calibrator, Range
from fjdl.quant.ranges.histogram import Density, Histogram, density, empty, histogram, merged
from fjdl.typing import Array, Float, Number, Scalar, typed


@typed
def percentile(*, percent: Number = 99.99) -> Calibrator:
    """From the number above which `percent` % of all lie to the one below which `percent` % lie.

    So 100 − `percent` % are limited at either end. Numbers are counted in bins that are the same for all of float32, so
    the state is exact whatever the split; each end is off by at most 1/128 of itself. 100 gives the extremes. Raises
    `ValueError` for a percent outside (50, 100].
    """
    within("(50, 100]", percent=percent)

    @typed
    def update(state: Histogram, x: Float[Array, "..."], weights: Weights = None) -> Histogram:
        return merged(state, histogram(x, weights))

    @typed
    def compute(state: Histogram) -> Range:
        found, part = density(state), jnp.asarray(percent, jnp.float32) / 100
        turned = Density(-found.right[::-1], -found.left[::-1], found.amount[::-1])
        return Range(-_end(turned, part), _end(found, part))

    return Calibrator(empty, update, merged, compute)


def _end(found: Density, part: Scalar) -> Scalar:
    """The number below which this part of all lies."""
    total = jnp.cumsum(found.amount)
    above = total[-1] * (1 - part)  # how many lie beyond: the exact part of what is summed from the end
    beyond = jnp.cumsum(found.amount[::-1])[::-1]  # those in this bin and above it
    place = jnp.sum(beyond > above) - 1  # the last bin with enough
    rest = jnp.where(found.amount[place] > 0, (beyond[place] - above) / jnp.maximum(found.amount[place], 1), 1)
    return found.left[place] + jnp.clip(rest, 0, 1) * (found.right[place] - found.left[place])
