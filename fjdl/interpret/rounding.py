"""Sums of floating-point numbers that never lie beyond the exact sum, seen from where they start."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fjdl.numerics import wide, widened
from fjdl.typing import Array, Number


def moved_inward(x: Array, change: Array) -> Array:
    """`x + change` in the dtype of `x`, rounded towards `x`: it is never farther from `x` than the exact sum.

    `change` is float32, or float64 of an `x` in float64. The error of the rounded sum is known exactly (Knuth's
    two-sum), and where it lies beyond, the neighbour on the side of `x` is taken.
    """
    start = widened(x)
    change = jnp.asarray(change, start.dtype)
    total = start + change
    back = total - start
    error = (start - (total - back)) + (change - back)  # what rounding took off: x + change = total + error exactly
    total = jnp.where(error * jnp.sign(change) < 0, jnp.nextafter(total, start), total)
    return _narrowed(total, start, x.dtype)


def _narrowed(value: Array, towards: Array, dtype: DTypeLike) -> Array:
    """`value` in the narrower `dtype`, rounded on the side of `towards`, which the dtype has."""
    info = jnp.finfo(dtype)
    if wide(dtype) == jnp.dtype(dtype):
        return value
    nearest = jax.lax.reduce_precision(value, info.nexp, info.nmant)  # a cast there and back XLA may leave out
    beyond = jnp.where(towards >= value, nearest < value, nearest > value)
    near = nearest.astype(dtype)
    return jnp.where(beyond, jnp.nextafter(near, towards.astype(dtype)), near)


def inside(bound: Number, dtype: DTypeLike, *, below: bool) -> Array:
    """A bound as a number of the dtype that is not above it, or with `below=False` not below it."""
    if isinstance(bound, jax.Array):
        value = widened(bound)
        return _narrowed(value, jnp.full_like(value, -jnp.inf if below else jnp.inf), dtype)
    near = np.asarray(bound, np.float64).astype(dtype)
    wrong = float(near) > bound if below else float(near) < bound
    towards = np.asarray(-np.inf if below else np.inf).astype(dtype)
    return jnp.asarray(np.nextafter(near, towards) if wrong else near, dtype)


def norm_from_above(x: Array) -> Array:
    """The Euclidean norm of each row [n, d] in float32, never below the exact one, and above it by less than 3e-6.

    Squares are added in pairs of pairs, whose error grows with the logarithm of their number, and the bound on the
    error of all steps is added to the result.
    """
    x = widened(x)
    largest = jnp.max(jnp.abs(x), axis=1, keepdims=True, initial=0)
    scale = jnp.where(largest == 0, 1, largest)
    squares = jnp.square(x / scale)
    levels = max(1, math.ceil(math.log2(max(2, x.shape[1]))))
    squares = jnp.pad(squares, ((0, 0), (0, 2**levels - x.shape[1])))
    for level in range(levels - 1, -1, -1):
        squares = squares[:, : 2**level] + squares[:, 2**level :]
    slack = 1 + (levels / 2 + 4) * float(jnp.finfo(x.dtype).eps)
    return jnp.where(largest[:, 0] == 0, 0, scale[:, 0] * jnp.sqrt(squares[:, 0]) * slack)
