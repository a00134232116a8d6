"""A window of an array whose place is known only on the device, where many of them are cut at once.

Mapped over images, each with a place of its own, `lax.dynamic_slice` becomes a gather. On CPU that is fast; the
compiler for TPU makes of it a loop over single images: 6.2 million of its cycles for 500 images of 40×40×3 pixels, of
which 32×32 are cut, against 0.13 million by selections (libtpu 0.0.42).
"""

from functools import partial

import jax.numpy as jnp
from jax import lax

from fjdl.platforms import by_platform
from fjdl.typing import Array, Int, Shaped, typed

_BYTES = ("bool", "int8", "uint8")
_AT_ONCE, _PARTS = 9, 6  # places between which one selection chooses, and into how many parts it divides more of them


@typed
def window(x: Shaped[Array, "..."], start: Int[Array, " axes"], *, size: tuple[int, ...]) -> Shaped[Array, "..."]:
    """`lax.dynamic_slice` along the first axes: `size` entries from `start`, a place from which they lie in the array.

    The same bits on every platform, NaN and infinity included.
    """
    other = by_products if x.dtype.name in _BYTES else by_selections
    return by_platform(x, start, cpu=partial(by_slice, size=size), elsewhere=partial(other, size=size))


def by_slice(x: Array, start: Array, *, size: tuple[int, ...]) -> Array:
    """The window as one slice."""
    zero = jnp.zeros((), start.dtype)
    starts = [start[axis] if axis < len(size) else zero for axis in range(x.ndim)]
    return lax.dynamic_slice(x, starts, (*size, *x.shape[len(size) :]))


def by_products(x: Array, start: Array, *, size: tuple[int, ...]) -> Array:
    """The window of bytes as one product with a matrix of 0 and 1 for each axis; bfloat16 holds every byte."""
    values = x.astype(jnp.bfloat16)
    for axis, extent in enumerate(size):
        places = start[axis] + jnp.arange(extent, dtype=start.dtype)
        chosen = places[:, None] == jnp.arange(x.shape[axis], dtype=start.dtype)[None]
        values = jnp.moveaxis(jnp.tensordot(chosen.astype(values.dtype), values, (1, axis)), 0, axis)
    return values.astype(x.dtype)


def by_selections(x: Array, start: Array, *, size: tuple[int, ...]) -> Array:
    """The window by choices between slices at fixed places: among all places, or first among their parts."""
    for axis, extent in enumerate(size):
        at = start[axis]
        while (places := x.shape[axis] - extent + 1) > 1:
            part = 1 if places <= _AT_ONCE else -(-places // _PARTS)
            x, passed = _part(x, at, axis, extent=extent + part - 1, stops=range(part, places, part))
            at = at - passed
    return x


def _part(x: Array, at: Array, axis: int, *, extent: int, stops: range) -> tuple[Array, Array]:
    """The `extent` entries from the last of the stops that `at` has reached, and where they begin."""
    last = x.shape[axis] - extent
    found, passed = lax.slice_in_dim(x, 0, extent, axis=axis), jnp.zeros_like(at)
    for stop in (min(stop, last) for stop in stops):
        found = jnp.where(at >= stop, lax.slice_in_dim(x, stop, stop + extent, axis=axis), found)
        passed = jnp.where(at >= stop, stop, passed)
    return found, passed
