"""The nearest of many vectors: exactly, some entries at a time, on the device."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from fjdl.checks import at_least
from fjdl.meshes import fori_loop
from fjdl.numerics import full_product, norm, unit, widened
from fjdl.typing import Array, Bool, Float, Int, typed

Score = Callable[[Array, Array], Array]  # of queries [n, d] and entries [b, d] to [n, b], the nearest largest


class Neighbours(NamedTuple):
    """The nearest entries of each query, the nearest first; entries that are missing have the index -1."""

    values: Float[Array, "n k"]  # distances, infinite for what is missing; or similarities, -infinite for it
    indices: Int[Array, "n k"]


@typed
def nearest_neighbours(
    queries: Float[Array, "n d"],
    entries: Float[Array, "m d"],
    valid: Bool[Array, " m"] | None = None,
    *,
    k: int,
    block: int = 16384,
) -> Neighbours:
    """The `k` entries with the least Euclidean distance to each query, and the distances, in float32.

    Of equal distances the entry of lower index comes first; entries that are not `valid` are none, and where there are
    fewer than `k` the rest is missing. Distances have gradients, similarities and choices have none. `block` entries at
    a time are compared, by `|y|² - 2 x·y` in float32, so that memory grows as n (block + k) and not as n m; the
    distances of those found are computed from differences. Vectors far from the origin lose digits in the comparison:
    subtract their mean first. NaN is the distance of no entry.
    Equals `sklearn.neighbors.NearestNeighbors(algorithm="brute")`. Raises `ValueError` for `k` or `block` below 1.

    >>> nearest_neighbours(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0], [1.0, 0.0]]), k=2)
    Neighbours(values=Array([[1., 5.]], dtype=float32), indices=Array([[1, 0]], dtype=int32))
    """
    queries, entries = widened(queries), widened(entries)

    def nearness(x: Array, y: Array) -> Array:
        return 2 * full_product(x, y.T) - jnp.sum(y * y, axis=1)[None]

    values, indices = _best(queries, entries, valid, nearness, k=k, block=block)
    if entries.shape[0] == 0:
        return Neighbours(-values, indices)
    away = norm(entries[jnp.maximum(indices, 0)] - queries[:, None])[..., 0]
    return Neighbours(jnp.where(indices < 0, jnp.inf, away), indices)


@typed
def most_similar(
    queries: Float[Array, "n d"],
    entries: Float[Array, "m d"],
    valid: Bool[Array, " m"] | None = None,
    *,
    k: int,
    block: int = 16384,
) -> Neighbours:
    """The `k` entries with the largest cosine of the angle to each query, and the cosines, in float32.

    As `nearest_neighbours`; a vector of zeros has the cosine 0 with all.

    >>> most_similar(jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 2.0], [3.0, 0.0]]), k=1)
    Neighbours(values=Array([[1.]], dtype=float32), indices=Array([[1]], dtype=int32))
    """

    def cosines(x: Array, y: Array) -> Array:
        return full_product(x, unit(y).T)

    values, indices = _best(unit(widened(queries)), widened(entries), valid, cosines, k=k, block=block)
    return Neighbours(values, indices)


def _best(
    queries: Array, entries: Array, valid: Array | None, score: Score, *, k: int, block: int
) -> tuple[Array, Array]:
    """The largest scores [n, k] and the indices of their entries, -1 where there are none left."""
    at_least(1, k=k, block=block)
    queries, entries = lax.stop_gradient((queries, entries))
    n, m = queries.shape[0], entries.shape[0]
    best = jnp.full((n, k), -jnp.inf, queries.dtype), jnp.full((n, k), -1, jnp.int32)
    if m == 0:
        return best
    size = min(block, m)

    def take(step: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        start = jnp.minimum(step * size, m - size)  # the last block holds entries of the one before
        index = start + jnp.arange(size, dtype=jnp.int32)
        counts = index >= step * size
        if valid is not None:
            counts = counts & lax.dynamic_slice_in_dim(valid, start, size)
        values = score(queries, lax.dynamic_slice_in_dim(entries, start, size))
        values = jnp.where(counts[None] & ~jnp.isnan(values), values, -jnp.inf)
        found, places = lax.top_k(values, min(k, size))
        largest, places_of_both = lax.top_k(jnp.concatenate([best[0], found], axis=1), k)
        both = jnp.concatenate([best[1], start + places], axis=1)
        chosen = jnp.take_along_axis(both, places_of_both, axis=1)
        return largest, jnp.where(largest == -jnp.inf, -1, chosen)

    return fori_loop(0, -(-m // size), take, best)
