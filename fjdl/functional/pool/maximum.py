"""Maxima over windows whose derivative goes to one entry: to the first of the largest.

A TPU has an operation for both, `fjdl.lowering.windows`. What is here is written for XLA:CPU, which compares slices of
the image fastest; a GPU gets it too, because XLA scatters there in no fixed order.
"""

import math
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl.functional.pool.windows import along, combined
from fjdl.functional.windows import padded, taps
from fjdl.geometry import Axis
from fjdl.lowering import windows
from fjdl.lowering.linear import linear
from fjdl.meshes import adjoint
from fjdl.numerics import widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Float, Integer, typed

TERMS = 25  # windows that share an entry, up to which the sum over all of them beats one axis after the other


@typed
def maxima(x: Float[Array, "..."], axes: tuple[Axis, ...]) -> Float[Array, "..."]:
    """Largest entry of each window."""
    compared = partial(_compared, axes=axes)
    if not windows.takes(axes):
        return compared(x)
    return by_platform(x, tpu=lambda x: windows.maxima(x, axes), elsewhere=compared)


def _compared(x: Array, axes: tuple[Axis, ...]) -> Array:
    """The largest entries as slices of the image that are compared."""
    if math.prod(_span(axis) for axis in axes) <= TERMS:
        return _maxima(x, axes)
    return maxima_and_winners(x, axes)[0]


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _maxima(x: Array, axes: tuple[Axis, ...]) -> Array:
    return combined(x, axes, combine=lambda a, b: jnp.where(_stays(a, b), a, b), fill=-jnp.inf)


@_maxima.defjvp
def _maxima_jvp(axes: tuple[Axis, ...], primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """Stated as a masked sum, whose transpose writes each entry once and has no slices with strides to put back."""
    values, winners = maxima_and_winners(*primals, axes)
    return values, _chosen(*tangents, winners, axes=axes)


@typed
def maxima_and_winners(
    x: Float[Array, "..."], axes: tuple[Axis, ...]
) -> tuple[Float[Array, "*shape"], Integer[Array, "*shape"]]:
    """Largest entry of each window, and its number there in row order; padding never wins over entries."""
    x = padded(x, axes, fill=-jnp.inf)
    winners = jnp.zeros(x.shape, _number(axes))
    places = 1
    for axis in reversed(axes):
        numbered = [n + t * places for t, n in enumerate(taps(winners, axis))]
        x, winners = _reduced(taps(x, axis), numbered, axis)
        places *= axis.window
    return x, winners


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def largest(x: Array, axis: int) -> Array:
    """Largest entry along `axis`; the first of equals takes the whole gradient, and a NaN is the result."""
    return jnp.max(x, axis=axis)


@largest.defjvp
def _largest_jvp(axis: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    winner = jnp.argmax(x, axis=axis, keepdims=True)
    chosen = lax.broadcasted_iota(winner.dtype, x.shape, axis % x.ndim) == winner
    return largest(x, axis), jnp.sum(jnp.where(chosen, tangent, 0), axis=axis)


def _stays(a: Array, b: Array) -> Array:
    return (a >= b) | (a != a)


def _reduced(values: list[Array], numbers: list[Array], axis: Axis) -> tuple[Array, Array]:
    value, number = values[0], numbers[0]
    for t in range(1, axis.window):
        stays = _stays(value, values[t])
        entered = np.arange(axis.output) * axis.stride + (t - 1) * axis.dilation >= axis.padding[0]
        if not entered.all():
            stays = stays & along(axis, entered, value.ndim)
        value, number = jnp.where(stays, value, values[t]), jnp.where(stays, number, numbers[t])
    return value, number


def _given_back(y: Array, winners: Array, *, axes: tuple[Axis, ...]) -> Array:
    """Each entry of `y` added to zeros at the entry that its number names."""
    shape = [*winners.shape]
    for axis in axes:
        shape[axis.position] = axis.size
    return adjoint(lambda x: _entries(x, winners, axes=axes), y, shape=tuple(shape), dtype=y.dtype)


def _entries(x: Array, winners: Array, *, axes: tuple[Axis, ...]) -> Array:
    """The entry of each window that its number names, as a sum of masked blocks, each as long as the stride.

    Written so that the transpose reads: what the blocks of one offset give to all windows is laid over what those of
    the others give, and the margins are cut off. So the gradient of an entry is one sum over the windows that share it.
    """
    blocks = _blocked(widened(x), axes)
    phases = tuple(axis.position + i + x.ndim + 1 for i, axis in enumerate(axes))
    margins = [(0, 0)] * winners.ndim
    for axis in axes:
        margins[axis.position] = (_span(axis) - 1, _span(axis) - 1)
    none = math.prod(axis.window for axis in axes)
    numbers = jnp.pad(lax.optimization_barrier(winners), margins, constant_values=none)
    total = jnp.zeros(numbers.shape, blocks.dtype)
    for offsets in product(*map(range, map(_span, axes))):
        index, sides = [slice(None)] * numbers.ndim, [(0, 0)] * numbers.ndim
        for axis, offset in zip(axes, offsets, strict=True):
            before = _span(axis) - 1 - offset
            index[axis.position], sides[axis.position] = slice(before, before + _blocks(axis)), (before, offset)
        places = _places(axes, offsets, phases, blocks.ndim).astype(numbers.dtype)
        named = jnp.expand_dims(numbers[tuple(index)], phases) == places
        total += jnp.pad(jnp.where(named, blocks, 0).sum(axis=phases), sides)
    middle = tuple(slice(low, low + n) for (low, _), n in zip(margins, winners.shape, strict=True))
    return lax.optimization_barrier(total)[middle].astype(x.dtype)


_chosen = linear("fjdl_chosen_entries", forward=_entries, backward=_given_back)


def _blocked(x: Array, axes: tuple[Axis, ...]) -> Array:
    """`x` with each axis cut into blocks as long as its stride, from the first window to the last."""
    shape: list[tuple[int, ...]] = [(n,) for n in x.shape]
    widths = [(0, 0, 0)] * x.ndim
    for axis in axes:
        count, low = _blocks(axis), axis.padding[0]
        widths[axis.position] = (low, count * axis.stride - low - axis.size, 0)
        shape[axis.position] = (count, axis.stride)
    return lax.pad(x, jnp.zeros((), x.dtype), widths).reshape(sum(shape, ()))


def _places(axes: tuple[Axis, ...], offsets: tuple[int, ...], phases: tuple[int, ...], ndim: int) -> np.ndarray:
    """Number in the window of each place of the block at `offsets` from the window's first, or one that none has."""
    number, inside = np.zeros([1] * ndim, int), np.ones([1] * ndim, bool)
    for axis, offset, phase in zip(axes, offsets, phases, strict=True):
        place = np.arange(axis.stride).reshape([-1 if i == phase else 1 for i in range(ndim)]) + offset * axis.stride
        number = number * axis.window + place // axis.dilation
        inside = inside & (place % axis.dilation == 0) & (place // axis.dilation < axis.window)
    return np.where(inside, number, math.prod(axis.window for axis in axes))


def _number(axes: tuple[Axis, ...]) -> jnp.dtype:
    """A dtype that holds the number of each entry of a window, and one more."""
    return jnp.dtype(jnp.uint8 if math.prod(axis.window for axis in axes) <= 255 else jnp.int32)


def _blocks(axis: Axis) -> int:
    """Blocks from the first window's to the last's."""
    return axis.output + _span(axis) - 1


def _span(axis: Axis) -> int:
    """Blocks that one window reaches, and so the most windows that share an entry."""
    return axis.dilation * (axis.window - 1) // axis.stride + 1
