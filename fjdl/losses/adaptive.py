"""Cross entropies of large vocabularies in which frequent words cost much and rare ones little."""

import math
from collections.abc import Sequence
from itertools import accumulate

import jax
import jax.numpy as jnp

from fjdl.geometry import certain
from fjdl.losses.classification import softmax_cross_entropy
from fjdl.losses.labels import known
from fjdl.lowering.matmul import matmul
from fjdl.meshes import cond
from fjdl.numerics import log_softmax, signed, widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Bool, Float, Integer, typed

Tail = tuple[Float[Array, "k r"], Float[Array, "r d"]]
"""A row of `r` numbers for each of the `k` words of a cluster, and what makes vectors of them."""


@typed
def adaptive_softmax_loss(
    h: Float[Array, "*batch d"],
    labels: Integer[Array, "*batch"],
    table: Float[Array, "s d"],
    clusters: Float[Array, "c d"],
    tails: tuple[tuple[Float[Array, "_ _"], Float[Array, "_ d"]], ...],
    *,
    capacities: Sequence[int] | None = None,
) -> Float[Array, "*batch"]:
    """Cross entropy of words in the order of their frequency, in nats: `-adaptive_log_probabilities(h, ...)[label]`.

    The `s` frequent words have a row of the `table` each, and each of the clusters that follow has one of `clusters`:
    their products with h are the scores of these `s + c`. A word of a cluster has the probability of the cluster times
    its own in it, by the scores `h kernelᵀ rowsᵀ`, where `rows` `[k, r]` and `kernel` `[r, d]` are the cluster's pair
    of `tails` (Grave et al. 2017, arXiv:1609.04309). So `table` and `tails` may be those of
    `functional.adaptive_embedding`. Weights are cast to the dtype of `h`, in which scores come out.

    The scores of a cluster are computed for all vectors, or on a CPU with `capacities`, a number for each cluster, for
    that many of them: those whose labels lie in it, where these are no more. Where there are more, all are computed, so
    that the result is the same. To choose some took a TPU 2.0 million cycles and 22 exchanges, where all of them take
    0.9 million and one (2240 vectors of 512 numbers, 33,278 words, four devices, libtpu 0.0.42.1).

    A label outside [0, number of words) has NaN as value and gradient, and only a mask on the values keeps both out of
    a mean. Equals `torch.nn.AdaptiveLogSoftmaxWithLoss` for `-output`. Raises `ValueError` where clusters, tails and
    capacities are not equally many.

    >>> table, clusters, tail = jnp.zeros((2, 2)), jnp.zeros((1, 2)), (jnp.zeros((4, 1)), jnp.zeros((1, 2)))
    >>> nats = adaptive_softmax_loss(jnp.ones((2, 2)), jnp.array([0, 5]), table, clusters, (tail,))
    >>> jnp.exp(-nats)
    Array([0.3333..., 0.0833...], dtype=float32)
    """
    bounds = _bounds(table, clusters, tails)
    limits = [None] * len(tails) if capacities is None else list(capacities)
    if len(limits) != len(tails):
        raise ValueError(f"capacities must have one number for each of {len(tails)} tails, got {len(limits)}")
    rows, words = _rows(h), signed(labels).reshape(math.prod(labels.shape))
    homes = sum(((words >= bound).astype(words.dtype) for bound in bounds[:-1]), jnp.zeros_like(words))
    targets = jnp.where(homes == 0, words, bounds[0] - 1 + homes)
    values = softmax_cross_entropy(
        _first_scores(rows, table, clusters), jnp.where(known(words, bounds[-1]), targets, -1)
    )
    for number, (tail, limit) in enumerate(zip(tails, limits, strict=True)):
        inside = (homes == number + 1) & (words < bounds[-1])
        values = values + _in_cluster(rows, jnp.where(inside, words - bounds[number], 0), inside, tail, limit)
    return values.reshape(labels.shape)


@typed
def adaptive_log_probabilities(
    h: Float[Array, "*batch d"],
    table: Float[Array, "s d"],
    clusters: Float[Array, "c d"],
    tails: tuple[tuple[Float[Array, "_ _"], Float[Array, "_ d"]], ...],
) -> Float[Array, "*batch v"]:
    """Logarithms of the probabilities of all words, whose sum is 1, with the weights of `adaptive_softmax_loss`.

    Equals `torch.nn.AdaptiveLogSoftmaxWithLoss.log_prob`. Raises `ValueError` where clusters and tails are not equally
    many.

    >>> table, clusters, tail = jnp.zeros((2, 2)), jnp.zeros((1, 2)), (jnp.zeros((2, 1)), jnp.zeros((1, 2)))
    >>> jnp.exp(adaptive_log_probabilities(jnp.ones(2), table, clusters, (tail,)))
    Array([0.3333..., 0.3333..., 0.1666..., 0.1666...], dtype=float32)
    """
    frequent, rows = _bounds(table, clusters, tails)[0], _rows(h)
    first = log_softmax(widened(_first_scores(rows, table, clusters)), -1)
    rest = [
        first[:, frequent + number, None] + log_softmax(widened(_tail_scores(rows, tail)), -1)
        for number, tail in enumerate(tails)
    ]
    every = jnp.concatenate([first[:, :frequent], *rest], axis=1)
    return every.reshape(*h.shape[:-1], every.shape[-1])


def _bounds(table: Array, clusters: Array, tails: Sequence[Tail]) -> list[int]:
    """The first number of each cluster, and the number of words."""
    if len(tails) != clusters.shape[0]:
        raise ValueError(f"tails must be as many as the {clusters.shape[0]} clusters, got {len(tails)}")
    return list(accumulate((rows.shape[0] for rows, _ in tails), initial=table.shape[0]))


def _rows(h: Float[Array, "*batch d"]) -> Float[Array, "n d"]:
    return jnp.asarray(h).reshape(math.prod(h.shape[:-1]), h.shape[-1])


def _scores(rows: Float[Array, "n d"], table: Float[Array, "k d"]) -> Float[Array, "n k"]:
    return matmul(rows, jnp.asarray(table).T.astype(rows.dtype))


def _first_scores(rows: Array, table: Array, clusters: Array) -> Array:
    return _scores(rows, jnp.concatenate([jnp.asarray(table), clusters]))


def _tail_scores(rows: Array, tail: Tail) -> Array:
    return _scores(_scores(rows, tail[1]), tail[0])


def _in_cluster(
    rows: Float[Array, "n d"], words: Integer[Array, " n"], inside: Bool[Array, " n"], tail: Tail, limit: int | None
) -> Float[Array, " n"]:
    """Nats of words given their cluster, 0 of those that are not inside."""

    def of(rows: Array, words: Array, tail: Tail) -> Array:
        return softmax_cross_entropy(_tail_scores(rows, tail), words)

    def of_all(rows: Array, tail: Tail) -> Array:
        return jnp.where(inside, of(rows, words, tail), 0)

    def of_some(rows: Array, tail: Tail) -> Array:
        places = jnp.nonzero(inside, size=limit, fill_value=words.size)[0]
        chosen = rows.at[places].get(mode="fill", fill_value=0), words.at[places].get(mode="fill", fill_value=0)
        values = of(*chosen, tail)
        return jnp.zeros(words.shape, values.dtype).at[places].set(values, mode="drop")

    if limit is None or certain(lambda: limit >= words.size):
        return of_all(rows, tail)
    again = jax.checkpoint(of_all, prevent_cse=False)  # in the backward pass, so that nothing of that size is kept

    def of_few(rows: Array, tail: Tail) -> Array:
        return cond(jnp.sum(inside) <= limit, of_some, again, rows, tail)

    return by_platform(rows, tail, cpu=of_few, elsewhere=of_all)
