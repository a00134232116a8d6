"""Sums in two floats (Dekker 1971): nearly twice the digits of one, however many terms and parts there are."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Bool, Float, Integer, Num, Scalar, typed

_RUN = 64  # terms that may be added up in one float
_CELLS = 2**20  # cells that a table of runs may have


class Sum(NamedTuple):
    """The numbers `total + remainder`, both of one shape; the remainder is what rounding took from the total."""

    total: Array
    remainder: Array


@typed
def zero(shape: tuple[int, ...]) -> Sum:
    """A sum of 0 in every entry."""
    return Sum(jnp.zeros(shape), jnp.zeros(shape))


@typed
@fused
def of(values: Num[Array, "n *rest"]) -> Sum:
    """The sum over the first axis, in float32, or in float64 for float64; an infinite or NaN term stays that.

    Up to 64 terms are added in one float, more of them by halves in two.
    """
    values = widened(values)
    if values.shape[0] > _RUN:
        return _fold(values)
    total = jnp.sum(values, axis=0)
    return Sum(total, jnp.zeros_like(total))


@typed
def add(a: Sum, b: Sum) -> Sum:
    """The entrywise sum of both, which merges the sums of two parts."""
    return _add(a, b)


@partial(jax.jit, inline=True)
def _add(a: Sum, b: Sum) -> Sum:
    total, lost = _two_sum(a.total, b.total)
    return Sum(*_two_sum(total, a.remainder + b.remainder + lost))


@typed
def to_float(sums: Sum) -> Float[Array, "..."]:
    """The sums as single floats, rounded only here."""
    return sums.total + sums.remainder


@typed
@fused
def by_index(values: Num[Array, " n"], index: Integer[Array, " n"], length: int) -> Sum:
    """The `length` sums of the values whose index is 0, 1, … `length - 1`; an index outside of these is left out.

    One float takes about 64 terms in a row, or `n · length / 2²⁰` where that is more.
    """
    values, n = widened(values), values.shape[0]
    rows = max(1, min(n // _RUN, _CELLS // length))
    inside = (index >= 0) & (index < length)
    cell = jnp.arange(n, dtype=jnp.int32) % rows * length + index.astype(jnp.int32)
    cell = jnp.where(inside, cell, rows * length)
    return of(jnp.zeros(rows * length, values.dtype).at[cell].add(values, mode="drop").reshape(rows, length))


@typed
@fused
def average(
    values: Num[Array, " n"] | Bool[Array, " n"], weights: Num[Array, " n"] | Bool[Array, " n"] | None = None
) -> Scalar:
    """Mean of the values, `Σ wv / Σ w`; NaN without values or where all weights are 0.

    A value of weight 0 does not count, NaN included; a True is 1. Equals `numpy.average`.
    """
    values = values.astype(jnp.result_type(float)) if values.dtype == bool else widened(values)
    weights = jnp.ones_like(values) if weights is None else widened(weights).astype(values.dtype)
    weighted = weights * jnp.where(weights == 0, 0, values)
    return safe_divide(to_float(of(weighted)), to_float(of(weights)), otherwise=jnp.nan)


@typed
@fused
def weighted_total(
    values: Num[Array, " n"] | Bool[Array, " n"], weights: Num[Array, " n"] | Bool[Array, " n"] | None = None
) -> Scalar:
    """Sum of the values, `Σ wv`; 0 without values. A value of weight 0 does not count, NaN included; a True is 1."""
    values = values.astype(jnp.result_type(float)) if values.dtype == bool else widened(values)
    weights = jnp.ones_like(values) if weights is None else widened(weights).astype(values.dtype)
    return to_float(of(weights * jnp.where(weights == 0, 0, values)))


@jax.jit
def _fold(values: Array) -> Sum:
    """Adds the second half to the first until one row is left."""
    total, remainder = values, jnp.zeros_like(values)
    while (n := total.shape[0]) > 1:
        half = n // 2
        summed, lost = _two_sum(total[:half], total[half : 2 * half])
        lost = lost + remainder[:half] + remainder[half : 2 * half]
        total = jnp.concatenate([summed, total[2 * half :]])
        remainder = jnp.concatenate([lost, remainder[2 * half :]])
    return Sum(*_two_sum(total[0], remainder[0]))


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum and what the rounding lost (Knuth, TAOCP 2, 4.2.2), or 0 where the sum is not finite."""
    total = a + b
    part = total - a
    lost = (a - (total - part)) + (b - part)
    return total, jnp.where(jnp.isfinite(total), lost, 0)
