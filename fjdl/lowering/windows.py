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


def takes(axes: Axes) -> bool:
    """Whether `maxima` has a form for windows that are dilated so, of known sizes."""
    whole = (axis.dilation == 1 or (axis.stride == 1 and axis.padding[0] % axis.dilation == 0) for axis in axes)
    return known(axes) and all(isinstance(axis.size, int) or axis.dilation == 1 for axis in axes) and all(whole)


def sums(x: Array, axes: Axes) -> Array:
    """Sum of each window, with zeros for padding, in the dtype of `x`."""
    return lax.reduce_window(x, np.zeros((), x.dtype), lax.add, **_geometry(axes, x.ndim))


def maxima(x: Array, axes: Axes) -> Array:
    """Largest entry of each window; the first of equals takes the gradient, and a NaN is the result.

    Which entry takes the gradient of a window with a NaN is left open: a choice that looked for NaN would not be a mere
    comparison, and XLA then gathers all images on every device to choose.

    Padding is never chosen. Dilated windows are those of every d-th pixel, one image of them for each phase, because
    XLA has no gradient of them.
    """
    spread = [axis for axis in axes if axis.dilation > 1]
    for axis in spread:
        x = _phases(x, axis)
    y = _maxima(x, tuple(_within_phase(axis) for axis in axes))
    for axis in reversed(spread):
        y = _joined(y, axis)
    return y


def _within_phase(axis: Axis) -> Axis:
    if axis.dilation == 1:
        return axis
    size, output = -(-axis.size // axis.dilation), -(-axis.output // axis.dilation)
    padding = (axis.padding[0] // axis.dilation, 0)
    return axis._replace(size=size, padding=padding, dilation=1, output=output)


def _phases(x: Array, axis: Axis) -> Array:
    """[d, ..., n / d, ...]: the pixels of each phase along the axis, those beyond the image -inf."""
    place = x.ndim + axis.position
    beyond = [(0, 0, 0)] * x.ndim
    beyond[place] = (0, -axis.size % axis.dilation, 0)
    x = lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), beyond)
    x = x.reshape(*x.shape[:place], -1, axis.dilation, *x.shape[place + 1 :])
    return jnp.moveaxis(x, place + 1, 0)


def _joined(y: Array, axis: Axis) -> Array:
    """What `_phases` took apart, cut to the number of windows."""
    place = y.ndim + axis.position - 1
    y = jnp.moveaxis(y, 0, place + 1)
    y = y.reshape(*y.shape[:place], -1, *y.shape[place + 2 :])
    return lax.slice_in_dim(y, 0, axis.output, axis=place)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _maxima(x: Array, axes: Axes) -> Array:
    return lax.reduce_window(x, np.asarray(-np.inf, x.dtype), lax.max, **_geometry(axes, x.ndim))


@_maxima.defjvp
def _maxima_jvp(axes: Axes, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _maxima(*primals, axes), _chosen(*tangents, *primals, axes=axes)


def _gathered(x: Array, keys: Array, *, axes: Axes) -> Array:
    """The entry of `x` where `keys` has the largest of each window, the first of equals whatever the order of work."""
    keys, places, x = alike(keys, _places(keys.shape, axes), x)
    none = (np.asarray(-np.inf, keys.dtype), np.int32(np.iinfo(np.int32).max), np.zeros((), x.dtype))
    return lax.reduce_window((keys, places, x), none, _better, **_geometry(axes, keys.ndim))[2]


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
    geometry = _geometry(axes, keys.ndim)
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


class _Geometry(TypedDict):
    window_dimensions: tuple[int, ...]
    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]


def _geometry(axes: Axes, ndim: int) -> _Geometry:
    return {
        "window_dimensions": _of_all(ndim, 1, {axis.position: axis.window for axis in axes}),
        "window_strides": _of_all(ndim, 1, {axis.position: axis.stride for axis in axes}),
        "padding": _of_all(ndim, (0, 0), {axis.position: axis.missing for axis in axes}),
    }


def _of_all(ndim: int, other: Any, own: dict[int, Any]) -> tuple[Any, ...]:
    """A value for each of the axes of an array: their own for those that are named, counted from the end."""
    return tuple(own.get(position, other) for position in range(-ndim, 0))
