"""Histograms of numbers of any size, exact whatever the split: the bins are the same for all of float32.

A bin is an octave's 128th part: numbers whose exponent and first 7 bits of the fraction are equal. So the edges need
not be known beforehand, counts of two parts add up to those of the whole, and a bin is at most 1/128 of its numbers
wide.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.fused import fused
from fjdl.metrics.base import Weights, counted
from fjdl.metrics.state import counts
from fjdl.metrics.state.counts import Count
from fjdl.numerics import widened
from fjdl.quant.ranges.base import require_seen
from fjdl.quant.ranges.limits import Extremes, extremes
from fjdl.typing import Array, Float, typed

FINE = 128  # bins of an octave
OCTAVES = 64  # from 2^-32 to 2^32; what is smaller counts as 0, and what is larger lies in the last bin
_FIRST = (127 - OCTAVES // 2) * FINE  # the bin of 2^-32 among all of float32
BINS = OCTAVES * FINE


class Histogram(NamedTuple):
    """How many numbers lie in each bin, and their extremes."""

    extremes: Extremes
    negative: Count  # bins of −x, from small to large
    zero: Count
    positive: Count


class Density(NamedTuple):
    """Bins in ascending order, within which numbers are taken to be spread evenly; the bin of 0 has no width."""

    left: Array
    right: Array
    amount: Array  # float32


@typed
def empty() -> Histogram:
    """The histogram of no numbers."""
    nothing = Extremes(jnp.asarray(jnp.inf), jnp.asarray(-jnp.inf))
    return Histogram(nothing, counts.zero((BINS,)), counts.zero(()), counts.zero((BINS,)))


@typed
def histogram(x: Float[Array, "..."], weights: Weights = None) -> Histogram:
    """That of the entries that count of one batch, of fewer than 2³² entries."""
    x, kept = widened(x).astype(jnp.float32), counted(weights, x.shape)
    found = extremes(x, weights)
    bits = jax.lax.bitcast_convert_type(jnp.abs(x), jnp.int32) >> (23 - 7)
    place = jnp.clip(bits - _FIRST + 1, 0, BINS)  # 0 is the bin of 0
    place = jnp.where(x < 0, BINS - place, BINS + place)
    place = jnp.where(kept, place, 2 * BINS + 1)
    amounts = jnp.zeros(2 * BINS + 1, jnp.uint32).at[place.reshape(-1)].add(jnp.uint32(1), mode="drop")
    parts = amounts[:BINS][::-1], amounts[BINS], amounts[BINS + 1 :]
    return Histogram(found, *map(counts.of, parts))


@typed
@fused
def merged(a: Histogram, b: Histogram) -> Histogram:
    """The histogram of both."""
    limits = Extremes(jnp.minimum(a.extremes.low, b.extremes.low), jnp.maximum(a.extremes.high, b.extremes.high))
    return Histogram(limits, *(counts.add(*pair) for pair in zip(a[1:], b[1:], strict=True)))


@typed
def density(state: Histogram) -> Density:
    """The bins from the lowest to the highest; the outermost end at the extremes. Refuses a histogram of no numbers."""
    low, high = state.extremes
    left, right = _sides(state)
    zero = jnp.zeros(1)
    below, at_zero, above = (counts.to_float(part).astype(jnp.float32) for part in state[1:])
    return Density(
        jnp.clip(jnp.concatenate([-right[::-1], zero, left]), low, high),
        jnp.clip(jnp.concatenate([-left[::-1], zero, right]), low, high),
        jnp.concatenate([below[::-1], at_zero[None], above]),
    )


@typed
def magnitudes(state: Histogram) -> Density:
    """The bins of absolute values other than 0, from the smallest to the largest."""
    left, right = _sides(state)
    largest = jnp.maximum(jnp.abs(state.extremes.low), jnp.abs(state.extremes.high))
    below, above = (counts.to_float(part).astype(jnp.float32) for part in (state.negative, state.positive))
    return Density(jnp.minimum(left, largest), jnp.minimum(right, largest), below + above)


def _sides(state: Histogram) -> tuple[Array, Array]:
    """The left and the right edge of each bin of positive numbers; the last bin has no end."""
    require_seen(~(state.extremes.low > state.extremes.high))
    octave, part = np.divmod(np.arange(BINS + 1), FINE)
    edges = 2.0 ** (octave - OCTAVES // 2) * (1 + part / FINE)
    edges[-1] = np.finfo(np.float32).max
    return jnp.asarray(edges[:-1], jnp.float32), jnp.asarray(edges[1:], jnp.float32)


@typed
def points(found: Density, *, per_bin: int = 4) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Numbers at even distances within each bin, and how many of those that were seen each stands for."""
    part = (jnp.arange(0.5, per_bin) / per_bin)[None]
    x = found.left[:, None] + (found.right - found.left)[:, None] * part
    return x.reshape(-1), jnp.repeat(found.amount / per_bin, per_bin)
