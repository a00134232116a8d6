"""The rows that a metric keeps, as many as there is room for, and how many there were."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.typing import Array, Bool, Int, PyTree, typed


class Rows(NamedTuple):
    """Arrays `[capacity, ...]` of which the first `seen` rows are in use; `capacity + 1` stands for too many."""

    columns: PyTree
    seen: Int[Array, ""]


@typed
def append(kept: Rows, columns: PyTree, chosen: Bool[Array, " n"]) -> Rows:
    """The rows with the chosen ones of `columns`, arrays `[n, ...]`, after their own, as far as there is room."""
    return _append(kept, columns, chosen)


@typed
def join(a: Rows, b: Rows) -> Rows:
    """The rows of both, those of `a` first; too many where either had too many."""
    here = in_use(b)
    both = _append(a, b.columns, here)
    return both._replace(seen=jnp.minimum(a.seen + b.seen, here.shape[0] + 1))


@typed
def in_use(kept: Rows) -> Bool[Array, " capacity"]:
    """Which rows hold something."""
    return jnp.arange(jax.tree.leaves(kept.columns)[0].shape[0], dtype=jnp.int32) < kept.seen


@typed
def overflown(kept: Rows) -> Bool[Array, ""]:
    """Whether there were more rows than there is room for."""
    return kept.seen > jax.tree.leaves(kept.columns)[0].shape[0]


@jax.jit
def _append(kept: Rows, columns: PyTree, chosen: Bool[Array, " n"]) -> Rows:
    capacity = jax.tree.leaves(kept.columns)[0].shape[0]
    places = kept.seen + jnp.cumsum(chosen.astype(jnp.int32)) - 1
    places = jnp.where(chosen, places, capacity)
    written = jax.tree.map(
        lambda own, new: own.at[places].set(new.astype(own.dtype), mode="drop"), kept.columns, columns
    )
    return Rows(written, jnp.minimum(kept.seen + jnp.sum(chosen, dtype=jnp.int32), capacity + 1))
