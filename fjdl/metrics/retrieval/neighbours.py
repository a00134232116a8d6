"""Scores of given neighbours: recall and precision at k, R-precision, MAP@R and the mean reciprocal rank."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.state import amounts, sums
from fjdl.metrics.state.amounts import Amount
from fjdl.metrics.state.sums import Sum
from fjdl.numerics import safe_divide, signed
from fjdl.typing import Array, Bool, Float, Int, Integer, typed


class RetrievalScores(NamedTuple):
    """Means over the queries, all in [0, 1]; the first two at each of the numbers k of neighbours.

    `recall` at k is the share of queries with at least one of their class among the k nearest, as metric learning calls
    it; at 1, 2, 3, … it is the cumulative match characteristic. `precision` at k is the share of the k nearest that are
    of the class. With R others of the class in all, `r_precision` is the precision at R, `map_at_r` is
    `1/R Σ_{i ≤ R} precision at i` over the places i that hold one of the class (Musgrave et al. 2020,
    arXiv:2003.08505), and `reciprocal_rank` is one over the place of the first.
    """

    recall: Any
    precision: Any
    r_precision: Any
    map_at_r: Any
    reciprocal_rank: Any


class Totals(NamedTuple):
    """Sums of the scores of all queries, in the order of `RetrievalScores`, and the weight of the queries."""

    scores: Sum
    weight: Amount


@streaming("measure(neighbour_retrieval(ks=(1, 10)), neighbours, labels, others)")
def neighbour_retrieval(*, ks: Sequence[int] = (1,)) -> Metric:
    """`RetrievalScores` of the labels of neighbours, over all batches.

    `update(state, neighbours, labels, others, weights=None)`: the labels `[n, m]` of the m nearest of each query, the
    nearest first and the query itself left out, the label `[n]` of the query, and how many `others [n]` of that class
    there are in all. A query without others is left out. Where a list of neighbours is shorter than R or k, what is
    beyond its end is of no class, but R-precision and MAP@R are NaN, as everything is where nothing was seen.
    """
    numbers = _numbers(ks)

    def init() -> Totals:
        return Totals(sums.zero((2 * len(numbers) + 3,)), amounts.zero())

    @typed
    def update(
        state: Totals,
        neighbours: Integer[Array, "n m"],
        labels: Integer[Array, " n"],
        others: Integer[Array, " n"],
        weights: Weights = None,
    ) -> Totals:
        alike = signed(neighbours) == signed(labels)[:, None].astype(signed(neighbours).dtype)
        each = weight_of_each(weights, labels.shape)
        others = signed(others, name="others").astype(jnp.int32)
        return merge(state, totals(scores_of_ranks(alike, first_hit(alike), others, ks=numbers), others, each))

    @typed
    def merge(a: Totals, b: Totals) -> Totals:
        return Totals(sums.add(a.scores, b.scores), amounts.add(a.weight, b.weight))

    @typed
    def compute(state: Totals) -> RetrievalScores:
        return means(state)

    return Metric(init, update, merge, compute)


@typed
def first_hit(alike: Bool[Array, "n m"]) -> Int[Array, " n"]:
    """The place of the first neighbour of the class, from 1; 0 where there is none."""
    places = jnp.arange(1, alike.shape[1] + 1, dtype=jnp.int32)[None]
    none = jnp.iinfo(jnp.int32).max
    first = jnp.min(jnp.where(alike, places, none), axis=1, initial=none)
    return jnp.where(first == none, 0, first)


@typed
def scores_of_ranks(
    alike: Bool[Array, "n m"], first: Int[Array, " n"], others: Int[Array, " n"], *, ks: tuple[int, ...]
) -> Float[Array, "n scores"]:
    """The scores of each query in the order of `RetrievalScores`, from which neighbours are of its class.

    `first` is the place of the first of the class, 0 for none, which may lie beyond the m neighbours.
    """
    dtype, m = jnp.result_type(float), alike.shape[1]
    places = jnp.arange(1, m + 1, dtype=jnp.int32)[None]
    hits = jnp.cumsum(alike, axis=1, dtype=jnp.int32)
    recall = [(first > 0) & (first <= k) for k in ks]
    precision = [(hits[:, min(k, m) - 1] if m else jnp.zeros_like(first)).astype(dtype) / k for k in ks]
    within_r = alike & (places <= others[:, None])
    at = jnp.where(within_r, hits.astype(dtype) / places.astype(dtype), 0)
    r = jnp.maximum(others, 1).astype(dtype)
    complete = others <= m
    of_r = [jnp.where(complete, jnp.sum(x, axis=1).astype(dtype) / r, jnp.nan) for x in (within_r, at)]
    reciprocal = safe_divide(jnp.ones_like(r), first.astype(dtype))
    return jnp.stack([*(x.astype(dtype) for x in recall), *precision, *of_r, reciprocal], axis=1)


@typed
def totals(scores: Float[Array, "n scores"], others: Int[Array, " n"], weights: Bool[Array, " n"] | Array) -> Totals:
    """The sums over the queries that have others of their class; those of weight 0 do not count, NaN included."""
    chosen = (others > 0) & weights.astype(bool)
    each = chosen if weights.dtype == bool else jnp.where(chosen, weights, 0)
    weighed = jnp.where(chosen[:, None], scores * each.astype(scores.dtype)[:, None], 0)
    return Totals(sums.of(weighed), amounts.sum_of(each))


@typed
def means(state: Totals) -> RetrievalScores:
    """The sums divided by the weight of the queries; NaN where nothing was seen."""
    total = sums.to_float(state.scores)
    weight = jnp.broadcast_to(amounts.to_float(state.weight), total.shape)
    mean = safe_divide(total, weight, otherwise=jnp.nan)
    half = (mean.shape[0] - 3) // 2
    return RetrievalScores(mean[:half], mean[half : 2 * half], *mean[2 * half :])


def _numbers(ks: Sequence[int]) -> tuple[int, ...]:
    at_least(1, ks=list(ks))
    if not ks:
        raise ValueError("ks must hold a number, got none")
    return tuple(ks)
