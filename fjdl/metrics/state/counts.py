"""Exact counts up to 2⁶⁴ in two 32-bit limbs: float32 sticks at 2²⁴ and int32 wraps at 2³¹."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.typing import Array, Float, Integer, typed


class Count(NamedTuple):
    """The whole numbers `high · 2³² + low`, both limbs uint32 of one shape."""

    high: Array
    low: Array


@typed
def zero(shape: tuple[int, ...] = ()) -> Count:
    """A count of 0 in every entry."""
    return of(jnp.zeros(shape, jnp.uint32))


@typed
def of(numbers: Integer[Array, "*shape"]) -> Count:
    """The count of each of `numbers`, which lie in [0, 2³²)."""
    low = jnp.asarray(numbers).astype(jnp.uint32)
    return Count(jnp.zeros_like(low), low)


@typed
def add(a: Count, b: Count) -> Count:
    """The entrywise sum, exact below 2⁶⁴."""
    return _add(a, b)


@partial(jax.jit, inline=True)
def _add(a: Count, b: Count) -> Count:
    low = a.low + b.low
    carry = (low < b.low).astype(jnp.uint32)
    return Count(a.high + b.high + carry, low)


@typed
def to_float(count: Count) -> Float[Array, "..."]:
    """The counts as float32, rounded only here; as float64 under x64, exact to 2⁵³."""
    return _to_float(count)


@partial(jax.jit, inline=True)
def _to_float(count: Count) -> Float[Array, "..."]:
    dtype = jnp.result_type(float)
    return count.high.astype(dtype) * 2.0**32 + count.low.astype(dtype)
