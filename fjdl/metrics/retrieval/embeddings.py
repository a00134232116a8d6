"""Scores of neighbours among embeddings, found for some queries at a time."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from fjdl.checks import at_least
from fjdl.metrics.base import Weights, weight_of_each
from fjdl.metrics.retrieval.neighbours import RetrievalScores, means, scores_of_ranks, totals
from fjdl.numerics import full_product, signed, unit, widened
from fjdl.typing import Array, Bool, Float, Integer, typed

Similarities = Callable[[Array, Array], Array]


@typed
def embedding_retrieval(
    embeddings: Float[Array, "n d"],
    labels: Integer[Array, " n"],
    gallery: Float[Array, "m d"] | None = None,
    gallery_labels: Integer[Array, " m"] | None = None,
    *,
    ks: Sequence[int] = (1,),
    similarity: Similarities | None = None,
    block: int = 1024,
    weights: Weights = None,
) -> RetrievalScores:
    """`RetrievalScores` of embeddings as queries, by the cosine of the angle to every other one, itself left out.

    With a `gallery` the neighbours are its entries, and nothing is left out. Equal similarities go by the lower index.
    A query whose class has no other entry is left out; NaN where there is no query, or where a similarity is NaN.
    `similarity(x, y)` of `[b, d]` and `[m, d]` gives another order, the largest `[b, m]` first: cosines order as
    Euclidean distances of unit vectors do. `block` queries at a time take memory for `block · m` similarities.

    Equals `pytorch_metric_learning`'s `AccuracyCalculator`: `precision_at_1`, `r_precision`,
    `mean_average_precision_at_r`, `mean_reciprocal_rank`.
    """
    at_least(1, ks=list(ks), block=block)
    if (gallery is None) != (gallery_labels is None):
        missing = "gallery" if gallery is None else "gallery_labels"
        raise ValueError(f"gallery and gallery_labels must be given together, got no {missing}")
    alone = gallery is None
    entries = embeddings if gallery is None else gallery
    entry_labels = signed(labels if gallery_labels is None else gallery_labels)
    each = weight_of_each(weights, labels.shape)
    depth = _depth(labels, entry_labels, max(ks), alone=alone)
    by = _cosines if similarity is None else similarity
    arrays = widened(embeddings), signed(labels).astype(entry_labels.dtype), widened(entries), entry_labels, each
    return _scores(
        *arrays, ks=tuple(ks), depth=depth, similarity=by, block=min(block, max(len(labels), 1)), alone=alone
    )


def _depth(labels: Array, entries: Array, most: int, *, alone: bool) -> int:
    """How many neighbours have to be known: the largest R, or k, and all where the labels are traced."""
    everything = max(entries.shape[0] - alone, 0)
    if isinstance(labels, Tracer) or isinstance(entries, Tracer) or not len(labels):
        return everything
    _, numbers = np.unique(np.asarray(entries), return_counts=True)
    return min(max(int(numbers.max(initial=0)), most), everything)


@partial(jax.jit, static_argnames=("ks", "depth", "similarity", "block", "alone"))
def _scores(
    queries: Array, labels: Array, entries: Array, entry_labels: Array, weights: Array,
    *, ks: tuple[int, ...], depth: int, similarity: Similarities, block: int, alone: bool,
) -> RetrievalScores:  # fmt: skip
    number, size = queries.shape[0], entries.shape[0]
    padding = -number % block
    index = jnp.arange(number + padding, dtype=jnp.int32).reshape(-1, block)
    parts = jnp.pad(queries, ((0, padding), (0, 0))).reshape(-1, block, queries.shape[1])
    part_labels = jnp.pad(labels, (0, padding)).reshape(-1, block)

    def of_block(part: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        x, own, place = part
        near = similarity(x, entries)
        itself = (place[:, None] == jnp.arange(size, dtype=jnp.int32)[None]) & alone
        alike = (own[:, None] == entry_labels[None]) & ~itself
        unfit = jnp.any(jnp.isnan(near) & ~itself, axis=1)
        near = jnp.where(itself, -jnp.inf, near)
        _, best = lax.top_k(near, depth)
        others = jnp.sum(alike, axis=1, dtype=jnp.int32)
        values = scores_of_ranks(jnp.take_along_axis(alike, best, 1), _first(near, alike), others, ks=ks)
        return jnp.where(unfit[:, None], jnp.nan, values), others

    values, others = lax.map(of_block, (parts, part_labels, index))
    values = values.reshape(-1, values.shape[-1])[:number]
    return means(totals(values, others.ravel()[:number], weights))


def _first(near: Float[Array, "b m"], alike: Bool[Array, "b m"]) -> Array:
    """The place of the nearest entry of the class among all, from 1; 0 where there is none."""
    if near.shape[1] == 0:
        return jnp.zeros(near.shape[0], jnp.int32)
    nearest = jnp.where(alike, near, -jnp.inf)
    place = jnp.argmax(jnp.where(alike & (near == jnp.max(nearest, axis=1, keepdims=True)), 1, 0), axis=1)
    top = jnp.take_along_axis(near, place[:, None], 1)
    before = (near > top) | ((near == top) & (jnp.arange(near.shape[1], dtype=place.dtype)[None] < place[:, None]))
    return jnp.where(jnp.any(alike, axis=1), jnp.sum(before, axis=1, dtype=jnp.int32) + 1, 0)


def _cosines(x: Float[Array, "b d"], y: Float[Array, "m d"]) -> Float[Array, "b m"]:
    return full_product(unit(x), unit(y).T)
