"""Scores of neighbours among embeddings, found for some queries at a time."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from fjdl.checks import at_least
from fjdl.metrics.base import Metric, Weights, selection, streaming, weight_of_each
from fjdl.metrics.retrieval.neighbours import RetrievalScores, means, scores_of_ranks, totals
from fjdl.metrics.state import rows
from fjdl.numerics import full_product, signed, unit, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, typed

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
    present = jnp.ones(entry_labels.shape, bool)
    arrays = (
        widened(embeddings),
        signed(labels).astype(entry_labels.dtype),
        widened(entries),
        entry_labels,
        each,
        present,
    )
    return _scores(
        *arrays, ks=tuple(ks), depth=depth, similarity=by, block=min(block, max(len(labels), 1)), alone=alone
    )


class Signatures(NamedTuple):
    """The embeddings that counted, and their labels."""

    embeddings: Float[Array, "capacity d"]
    labels: Int[Array, " capacity"]


@streaming("embedding_retrieval(embeddings, labels, ks=(1, 10))")
def collected_retrieval(dimensions: int, *, capacity: int, ks: Sequence[int] = (1,), block: int = 1024) -> Metric:
    """`embedding_retrieval` of all embeddings of all batches, which the state keeps: `capacity` of them at most.

    `update(state, embeddings, labels, weights=None)` with embeddings `[n, dimensions]`; weights are booleans, or 0 and
    1, and only select. Batches and merges may come in any order, but for ties. Where more than `capacity` embeddings
    counted, every score is NaN.
    """
    at_least(1, dimensions=dimensions, capacity=capacity)

    def init() -> rows.Rows:
        columns = Signatures(jnp.zeros((capacity, dimensions)), jnp.zeros(capacity, jnp.int32))
        return rows.Rows(columns, jnp.zeros((), jnp.int32))

    @typed
    def update(
        state: rows.Rows, embeddings: Float[Array, "n d"], labels: Integer[Array, " n"], weights: Weights = None
    ) -> rows.Rows:
        if embeddings.shape[1] != dimensions:
            raise ValueError(f"embeddings must have {dimensions} dimensions, got shape {embeddings.shape}")
        chosen, proper = selection(weights, labels.shape)
        added = rows.append(state, Signatures(widened(embeddings), signed(labels).astype(jnp.int32)), chosen)
        return added._replace(seen=jnp.where(proper, added.seen, capacity + 1))

    @typed
    def compute(state: rows.Rows) -> RetrievalScores:
        kept: Signatures = state.columns
        here = rows.in_use(state)
        scores = _scores(
            *kept,
            *kept,
            here,
            here,
            ks=tuple(ks),
            depth=capacity - 1,
            similarity=_cosines,
            block=min(block, capacity),
            alone=True,
        )
        return jax.tree.map(lambda x: jnp.where(rows.overflown(state), jnp.nan, x), scores)

    return Metric(init, update, rows.join, compute)


def _depth(labels: Array, entries: Array, most: int, *, alone: bool) -> int:
    """How many neighbours have to be known: the largest R, or k, and all where the labels are traced."""
    everything = max(entries.shape[0] - alone, 0)
    if isinstance(labels, Tracer) or isinstance(entries, Tracer) or not len(labels):
        return everything
    _, numbers = np.unique(np.asarray(entries), return_counts=True)
    return min(max(int(numbers.max(initial=0)), most), everything)


@partial(jax.jit, static_argnames=("ks", "depth", "similarity", "block", "alone"))
def _scores(
    queries: Array, labels: Array, entries: Array, entry_labels: Array, weights: Array, present: Array,
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
        itself = itself | ~present[None]
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
