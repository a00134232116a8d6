"""Maxima and sums over windows as XLA's own operations, which a TPU runs in one pass.

Elsewhere XLA takes them apart: the order in which it looks at the entries of a window is its own then, and so is the
winner of a tie. Axes that are no windows are left as they are, whatever their number.
"""

from functools import partial
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl.geometry import Axis
from fjdl.lowering.linear import linear
from fjdl.meshes import alike
from fjdl.typing import Array

Axes = tuple[Axis, ...]


def known(axes: Axes) -> bool:
    """Whether all sizes are numbers, which XLA's windows take alone, and not open as `jax.export` leaves some."""
    return all(isinstance(size, int) for axis in axes for size in (*axis.padding, *axis.missing))


def sums(x: Array, axes: Axes) -> Array:
    """Sum of each window, with zeros for padding, in the dtype of `x`."""
    return lax.reduce_window(x, np.zeros((), x.dtype), lax.add, **_reduced(axes, x.ndim))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def maxima(x: Array, axes: Axes) -> Array:
    """Largest entry of each window; the first of equals takes the gradient, and a NaN is the result.

    Which entry takes the gradient of a window with a NaN is left open: a choice that looked for NaN would not be a mere
    comparison, and XLA then gathers all images on every device to choose.

    The windows are not dilated. Padding is never chosen.
    """
    return lax.reduce_window(x, np.asarray(-np.inf, x.dtype), lax.max, **_reduced(axes, x.ndim))


@maxima.defjvp
def _maxima_jvp(axes: Axes, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return maxima(*primals, axes), _chosen(*tangents, *primals, axes=axes)


def _gathered(x: Array, keys: Array, *, axes: Axes) -> Array:
    """The entry of `x` where `keys` has the largest of each window, the first of equals whatever the order of work."""
    keys, places, x = alike(keys, _places(keys.shape, axes), x)
    none = (np.asarray(-np.inf, keys.dtype), np.int32(np.iinfo(np.int32).max), np.zeros((), x.dtype))
    return lax.reduce_window((keys, places, x), none, _better, **_reduced(axes, keys.ndim))[2]


def _better(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    """Of two triples of key, place and value the one of the larger key, or of the first place."""
    above = (a[0] > b[0]) | ((a[0] != a[0]) & (b[0] == b[0]))
    level = (a[0] == b[0]) | ((a[0] != a[0]) & (b[0] != b[0]))
    stays = above | (level & (a[1] < b[1]))
    return tuple(lax.select(stays, left, right) for left, right in zip(a, b, strict=True))


def _scattered(y: Array, keys: Array, *, axes: Axes) -> Array:
    """Each entry of `y` added to zeros where `keys` has the largest of its window."""
    scalar = jax.ShapeDtypeStruct((), keys.dtype)
    select, add = (jax.make_jaxpr(function)(scalar, scalar) for function in (lax.ge, lax.add))
    geometry = _plain(axes, keys.ndim)
    y, keys, zero = alike(y.astype(keys.dtype), keys, jnp.zeros((), keys.dtype))
    return lax.select_and_scatter_p.bind(
        keys, y, zero,
        select_jaxpr=select.jaxpr, select_consts=(), scatter_jaxpr=add.jaxpr, scatter_consts=(), **geometry,
    )  # fmt: skip


_chosen = linear("fjdl_chosen_of_windows", forward=_gathered, backward=_scattered)


def _places(shape: tuple[int, ...], axes: Axes) -> Array:
    """Place of each entry in row order in its image."""
    places = jnp.zeros(shape, jnp.int32)
    for axis in axes:
        places = places * axis.size + lax.broadcasted_iota(jnp.int32, shape, len(shape) + axis.position)
    return places


class _Plain(TypedDict):
    window_dimensions: tuple[int, ...]
    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]


class _Dilated(_Plain):
    window_dilation: tuple[int, ...]


def _plain(axes: Axes, ndim: int) -> _Plain:
    return {
        "window_dimensions": _of_all(ndim, 1, {axis.position: axis.window for axis in axes}),
        "window_strides": _of_all(ndim, 1, {axis.position: axis.stride for axis in axes}),
        "padding": _of_all(ndim, (0, 0), {axis.position: axis.missing for axis in axes}),
    }


def _reduced(axes: Axes, ndim: int) -> _Dilated:
    return {**_plain(axes, ndim), "window_dilation": _of_all(ndim, 1, {axis.position: axis.dilation for axis in axes})}


def _of_all(ndim: int, other: Any, own: dict[int, Any]) -> tuple[Any, ...]:
    """A value for each of the axes of an array: their own for those that are named, counted from the end."""
    return tuple(own.get(position, other) for position in range(-ndim, 0))
