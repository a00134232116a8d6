"""Ranks of scores by sorting integers, with counts that stay exact where float32 sums would not."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from fjdl.meshes import while_loop
from fjdl.metrics.base import Weights, counted
from fjdl.numerics import signed, wide, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, Num, Scalar, typed

CHUNK = 8192  # positives looked up at once


class Places(NamedTuple):
    """Four counts for each positive example: how many examples, and how many positives, have a lower score.

    `below` and `positives_below` count the scores that are less than that of the positive; `up_to` and
    `positives_up_to` count those that are less or equal, so the positive itself is one of them.
    """

    below: Int[Array, " chunk"]
    up_to: Int[Array, " chunk"]
    positives_below: Int[Array, " chunk"]
    positives_up_to: Int[Array, " chunk"]


class Cumulative(NamedTuple):
    """Weights of the positives and of the negatives that score at least `thresholds`, which fall from entry to entry.

    Entries of one score are equal, and the last entries hold everything. Without weights these are exact counts.
    """

    positives: Num[Array, " n"]
    negatives: Num[Array, " n"]
    thresholds: Float[Array, " n"]


@typed
def example_weights(
    scores: Float[Array, "n *k"], weights: Num[Array, " n"] | Bool[Array, " n"] | None
) -> Float[Array, " n"] | Bool[Array, " n"]:
    """One weight per example: booleans, which select and are counted exactly, or floats; without weights, all True."""
    if weights is None:
        return lax.optimization_barrier(jnp.ones(scores.shape[:1], bool))  # or XLA folds their sums for seconds
    return jnp.asarray(weights) if weights.dtype == bool else jnp.asarray(weights).astype(wide(scores.dtype))


@typed
def is_positive(labels: Integer[Array, "*shape"] | Bool[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """Whether a label is 1 or True; every other one is negative."""
    labels = jnp.asarray(labels)
    return labels if labels.dtype == bool else labels == 1


@typed
def require_binary(
    name: str, labels: Integer[Array, "*shape"] | Bool[Array, "*shape"], weights: Weights = None
) -> None:
    """Raises `ValueError` where a concrete label that counts is not of one pair: 0 and 1, -1 and 1, False and True.

    Of traced labels the results are NaN instead, see `not_binary`.
    """
    if labels.dtype == bool or isinstance(labels, Tracer) or isinstance(weights, Tracer):
        return
    numbers = np.asarray(labels)
    if weights is not None:
        numbers = numbers[np.asarray(counted(weights, labels.shape))]
    if not np.all((numbers == 1) | (numbers == 0)) and not np.all((numbers == 1) | (numbers == -1)):
        found = ", ".join(map(str, np.unique(numbers)[:5].tolist()))
        raise ValueError(f"{name} must hold booleans, or 0 and 1, or -1 and 1, got {found}")


@typed
def not_binary(labels: Integer[Array, "*shape"] | Bool[Array, "*shape"], weights: Weights = None) -> Bool[Array, ""]:
    """Whether a label that counts is none of 0, 1 and -1, or both 0 and -1 are among them."""
    if labels.dtype == bool:
        return jnp.zeros((), bool)
    labels, chosen = signed(labels), counted(weights, labels.shape)
    zero, minus = jnp.any(chosen & (labels == 0)), jnp.any(chosen & (labels == -1))
    return (zero & minus) | jnp.any(chosen & (labels != 0) & (labels != -1) & (labels != 1))


@typed
def sort_keys(scores: Float[Array, "*shape"]) -> Integer[Array, "*shape"]:
    """Integers in the order of the scores, equal exactly where the scores are; -0 equals 0, and a NaN is anywhere.

    int32, and int64 for float64. XLA sorts integers several times faster than floats, whose order it asks for by a
    comparison of their own. The smallest integer is the key of no number.
    """
    return _flip(_bits(widened(scores)))


@typed
def scores_of(keys: Integer[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The scores of `sort_keys`, with 0 for -0."""
    return lax.bitcast_convert_type(_flip(keys), jnp.float64 if keys.dtype.itemsize == 8 else jnp.float32)


@typed
def cumulative(
    positive: Bool[Array, " n"], scores: Float[Array, " n"], weights: Bool[Array, " n"] | Float[Array, " n"]
) -> Cumulative:
    """The cumulative weights from the highest score to the lowest; weights of booleans count in int32.

    Examples of weight 0 are last, with the entries and the threshold of the lowest score that counts.
    """
    return _cumulative(positive, scores, weights)


@typed
def search(ordered: Integer[Array, " n"], keys: Integer[Array, " m"]) -> tuple[Int[Array, " m"], Int[Array, " m"]]:
    """How many of the sorted keys are below each key, and how many are at most that.

    Equals `numpy.searchsorted` with `side="left"` and `side="right"`, for keys below the largest integer.
    """
    places = jnp.searchsorted(ordered, jnp.concatenate([keys, keys + 1]))
    return places[: keys.shape[0]], places[keys.shape[0] :]


@typed
def sum_over_positives(
    positive: Bool[Array, " n"],
    scores: Float[Array, " n"],
    counted: Bool[Array, " n"],
    term: Callable[[Places], Array],
) -> Scalar:
    """Sum of `term(places)` over the positives that count, of their places among all examples that count.

    Two sorts of integers without payload, then a binary search for each positive, in chunks as many as it takes.
    """
    key = sort_keys(scores)
    size, lowest = key.shape[0], jnp.iinfo(key.dtype).min
    everything = lax.sort(jnp.where(counted, key, lowest), is_stable=True)
    positives = lax.sort(jnp.where(counted & positive, key, lowest), is_stable=False)
    first = size - jnp.sum(counted & positive, dtype=jnp.int32)
    left_out = size - jnp.sum(counted, dtype=jnp.int32)
    step = min(CHUNK, size)

    def add(state: tuple[Array, Array]) -> tuple[Array, Array]:
        stop, total = state
        start = jnp.maximum(stop - step, 0)
        index = start + jnp.arange(step, dtype=jnp.int32)
        here = lax.dynamic_slice_in_dim(positives, start, step)
        among_all, among_positives = search(everything, here), search(positives, here)
        terms = term(Places(*[x - left_out for x in among_all], *[x - first for x in among_positives]))
        return stop - step, total + jnp.sum(jnp.where((index >= first) & (index < stop), terms, 0))

    zero = jnp.zeros((), wide(scores.dtype))
    return while_loop(lambda state: state[0] > first, add, (jnp.int32(size), zero))[1]


@jax.jit
def _cumulative(positive: Array, scores: Array, weights: Array) -> Cumulative:
    counted = weights.astype(bool)
    amounts = weights.astype(jnp.int32) if weights.dtype == bool else weights
    falling = ~sort_keys(scores)
    last = jnp.iinfo(falling.dtype).max
    operands = jnp.where(counted, falling, last), jnp.where(positive, amounts, 0), amounts
    keys, positives, everything = lax.sort(operands, num_keys=1, is_stable=False)
    positives, negatives = _rising_sum(positives), _rising_sum(everything - positives)
    ends = jnp.concatenate([keys[1:] != keys[:-1], jnp.ones_like(counted[:1])])
    lowest = jnp.max(keys, where=keys != last, initial=jnp.iinfo(keys.dtype).min)
    return Cumulative(_at_ends(positives, ends), _at_ends(negatives, ends), scores_of(~jnp.minimum(keys, lowest)))


def _rising_sum(values: Num[Array, " n"]) -> Num[Array, " n"]:
    """The cumulative sum of values that are not negative, which the rounding of a parallel sum may make fall."""
    sums = jnp.cumsum(values)
    return lax.cummax(sums) if jnp.issubdtype(sums.dtype, jnp.floating) else sums


def _at_ends(values: Num[Array, " n"], ends: Bool[Array, " n"]) -> Num[Array, " n"]:
    """Each value replaced by the next one that is at an end; the values do not fall."""
    limit = jnp.inf if jnp.issubdtype(values.dtype, jnp.floating) else jnp.iinfo(values.dtype).max
    return lax.cummin(jnp.where(ends, values, jnp.asarray(limit, values.dtype)), reverse=True)


def _bits(scores: Float[Array, "*shape"]) -> Integer[Array, "*shape"]:
    bits = lax.bitcast_convert_type(scores, jnp.int64 if scores.dtype == jnp.float64 else jnp.int32)
    return jnp.where(bits == jnp.iinfo(bits.dtype).min, 0, bits)


def _flip(bits: Integer[Array, "*shape"]) -> Integer[Array, "*shape"]:
    """Reverses the order of the negative numbers, whose bits grow with their size; its own inverse."""
    return bits ^ ((bits >> (8 * bits.dtype.itemsize - 1)) & jnp.iinfo(bits.dtype).max)
