"""Assignments of least total cost, as the losses of DETR need them, inside of a compiled program."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from fjdl.meshes import fori_loop, while_loop
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, Int, typed


@typed
def assign(
    costs: Float[Array, "rows columns"],
    rows: Bool[Array, " rows"] | None = None,
    columns: Bool[Array, " columns"] | None = None,
) -> Int[Array, " rows"]:
    """The column of each row in the assignment of one column to one row whose costs have the least sum; -1 is none.

    As many pairs are made as the fewer of the `rows` and `columns` that count, all by default. A pair whose cost is
    inf, -inf or NaN is never made, and a row for which so none remains gets none, the last rows first. Of several
    assignments with the least sum it is any. Nothing has a gradient.

    Kuhn 1955, by shortest augmenting paths (Jonker and Volgenant 1987; Crouse 2016, doi:10.1109/TAES.2016.140952), in
    at most rows · columns passes over a row of costs, in float32. Its sum equals that of
    `scipy.optimize.linear_sum_assignment`, which refuses NaN and an impossible assignment. In DETR (Carion et al. 2020,
    arXiv:2005.12872) rows are objects, columns are predictions, and the cost is `-p(label) + 5 |Δbox| - 2 GIoU`, in
    later work a difference of focal losses in place of `-p`.

    >>> assign(jnp.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0]]))
    Array([1, 0], dtype=int32)
    """
    costs = lax.stop_gradient(widened(costs))
    if columns is None and costs.shape[0] <= costs.shape[1]:
        return _rows_to_columns(_forbidden(costs, rows, None))
    side = max(costs.shape)
    square = jnp.pad(_forbidden(costs, rows, columns), [(0, side - n) for n in costs.shape], constant_values=jnp.inf)
    some = [
        jnp.sum(valid, dtype=jnp.int32) if valid is not None else jnp.int32(n)
        for valid, n in zip((rows, columns), costs.shape, strict=True)
    ]
    turned = some[0] > some[1]
    found = _rows_to_columns(jnp.where(turned, square.T, square))
    found = jnp.where(turned, _inverse(found), found)[: costs.shape[0]]
    return jnp.where(found < costs.shape[1], found, -1)


def _forbidden(costs: Array, rows: Array | None, columns: Array | None) -> Array:
    """The costs, inf where no pair may be made."""
    allowed = jnp.isfinite(costs)
    if rows is not None:
        allowed &= rows[:, None]
    if columns is not None:
        allowed &= columns[None]
    return jnp.where(allowed, costs, jnp.inf)


def _inverse(found: Array) -> Array:
    """The row of each column, where `found` has the column of each row; as many of both."""
    places = jnp.arange(found.shape[0], dtype=jnp.int32)
    chosen = found[:, None] == places[None]
    return jnp.where(jnp.any(chosen, axis=0), jnp.argmax(chosen, axis=0).astype(jnp.int32), -1)


def _rows_to_columns(costs: Array) -> Array:
    """The column of each of at most as many rows as there are columns, one row after the other."""
    n, m = costs.shape
    if n == 0:
        return jnp.zeros(0, jnp.int32)
    start = _Loop(
        jnp.zeros(n, costs.dtype), jnp.zeros(m, costs.dtype), jnp.full(n, -1, jnp.int32), jnp.full(m, -1, jnp.int32)
    )
    return fori_loop(0, n, lambda row, loop: _with_row(costs, jnp.asarray(row, jnp.int32), loop), start).columns


class _Loop(NamedTuple):
    """Pairs of the rows so far, and prices at which each of them has its cheapest column."""

    row_prices: Array
    column_prices: Array
    columns: Array  # of each row, -1 without one
    rows: Array  # of each column


class _Search(NamedTuple):
    """A tree of shortest paths from a row without a column; an edge from a column leads to its row."""

    row: Array  # whose edges come next
    length: Array  # of the path to it
    lengths: Array  # of the shortest path to each column
    before: Array  # the row before each column on it
    columns: Array  # whether the shortest path to a column is known
    rows: Array
    end: Array  # a column without a row, -1 before it is found, -2 where there is none


def _with_row(costs: Array, row: Array, loop: _Loop) -> _Loop:
    """The pairs with one more row, where it can have a column: along the shortest path each row takes the next one."""
    n, m = costs.shape
    found = while_loop(
        lambda search: search.end == -1,
        lambda search: _further(costs, loop, search),
        _Search(
            row,
            jnp.zeros((), costs.dtype),
            jnp.full(m, jnp.inf, costs.dtype),
            jnp.full(m, -1, jnp.int32),
            jnp.zeros(m, bool),
            jnp.zeros(n, bool),
            jnp.int32(-1),
        ),
    )
    possible = found.end >= 0
    length = jnp.where(possible, found.length, 0)
    reached = jnp.where(loop.columns < 0, 0, found.lengths[jnp.maximum(loop.columns, 0)])
    row_prices = jnp.where(found.rows & possible, loop.row_prices + length - reached, loop.row_prices)
    saved = jnp.where(found.columns & possible, length - found.lengths, 0)
    columns, rows, _ = while_loop(
        lambda carry: carry[2] >= 0, lambda carry: _turned(found.before, *carry), (loop.columns, loop.rows, found.end)
    )
    return _Loop(row_prices, loop.column_prices - saved, columns, rows)


def _further(costs: Array, loop: _Loop, search: _Search) -> _Search:
    """The search after the edges of its row: the nearest column whose shortest path is not known yet is reached."""
    n, m = costs.shape
    own, price = (lax.dynamic_index_in_dim(x, search.row, keepdims=False) for x in (costs, loop.row_prices))
    lengths = search.length + (own - price - loop.column_prices)
    shorter = ~search.columns & (lengths < search.lengths)
    lengths, before = jnp.where(shorter, lengths, search.lengths), jnp.where(shorter, search.row, search.before)
    open_lengths = jnp.where(search.columns, jnp.inf, lengths)
    length = jnp.min(open_lengths)
    rank = jnp.where(open_lengths > length, 2, jnp.where(loop.rows < 0, 0, 1))  # an end before other columns
    nearest = jnp.argmin(rank).astype(jnp.int32)
    row = lax.dynamic_index_in_dim(loop.rows, nearest, keepdims=False)
    end = jnp.where(length < jnp.inf, jnp.where(row < 0, nearest, -1), -2).astype(jnp.int32)
    known = search.columns | (jnp.arange(m) == nearest)
    return _Search(row, length, lengths, before, known, search.rows | (jnp.arange(n) == search.row), end)


def _turned(before: Array, columns: Array, rows: Array, column: Array) -> tuple[Array, Array, Array]:
    """The pairs after the row before this column has left its own column for it; that is the next one, or -1."""
    row = lax.dynamic_index_in_dim(before, column, keepdims=False)
    own = lax.dynamic_index_in_dim(columns, row, keepdims=False)
    columns = jnp.where(jnp.arange(columns.shape[0]) == row, column, columns)
    return columns, jnp.where(jnp.arange(rows.shape[0]) == column, row, rows), own
