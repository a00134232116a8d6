"""Convolution of each channel with kernels of its own, as sums of shifted images.

There is nothing to share between channels that a matrix product could use, so the kernel's taps are added up one by
one, all channels of a pixel at once.
"""

import itertools
import math
import operator
from functools import reduce

import jax.numpy as jnp
from jax import lax

from fjdl.functional.bilinear import Rules
from fjdl.functional.conv_plain import Options
from fjdl.geometry import Axis, slide
from fjdl.numerics import accumulate
from fjdl.typing import Array

Shift = tuple[int, int]  # number of a tap, and by how many outputs it is shifted


def convolve(x: Array, kernel: Array, options: Options) -> Array:
    """[n, h, w, c] and [kh, kw, 1, c m] to [n, h_out, w_out, c m], in float32 or wider."""
    pairs = zip(_taps(accumulate(x), options), _weights(kernel, options), strict=True)
    y = reduce(operator.add, (tap[..., None] * weight for tap, weight in pairs))
    return y.reshape(*y.shape[:3], -1)


def input_gradient(y: Array, kernel: Array, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output.

    With stride s every s-th row and every s-th column of the input meet the same taps: such a phase is a sum of shifted
    cotangents, and the phases interlock to the whole.
    """
    rows, columns = _axes(options)
    y = accumulate(y).reshape(*y.shape[:3], options.groups, -1)
    weights = _weights(kernel, options)
    phases = [[_phase(y, weights, rows, columns, (a, b)) for b in range(columns.stride)] for a in range(rows.stride)]
    x = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)  # [n, h / s, s, w / s, s, c]
    x = x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3] * x.shape[4], x.shape[5])
    return x[:, : rows.size, : columns.size]


def kernel_gradient(x: Array, y: Array, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output, added up image by image."""
    y = accumulate(y).reshape(*y.shape[:3], options.groups, -1)

    def add(total: Array, image: tuple[Array, Array]) -> tuple[Array, None]:
        taps = _taps(accumulate(image[0])[None], options)
        return total + jnp.stack([jnp.sum(tap[0, ..., None] * image[1], axis=(0, 1)) for tap in taps]), None

    zero = jnp.zeros((math.prod(options.window), *y.shape[3:]), y.dtype)
    return lax.scan(add, zero, (x, y))[0].reshape(*options.window, 1, -1)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


def _axes(options: Options) -> tuple[Axis, Axis]:
    rows, columns = slide(
        options.size,
        window=options.window,
        stride=options.stride,
        padding=options.padding,
        dilation=options.dilation,
    )
    return rows, columns


def _weights(kernel: Array, options: Options) -> Array:
    """[taps, 1, 1, 1, c, m] in float32 or wider: the m kernels of each channel side by side."""
    return accumulate(kernel).reshape(math.prod(options.window), 1, 1, 1, options.groups, -1)


def _taps(x: Array, options: Options) -> list[Array]:
    """What each tap of the kernel meets at all outputs, [n, h_out, w_out, c] each."""
    x = jnp.pad(x, ((0, 0), *options.padding, (0, 0)))
    rows, columns = ([_meets(axis, tap) for tap in range(axis.window)] for axis in _axes(options))
    return [x[:, down, across] for down, across in itertools.product(rows, columns)]


def _meets(axis: Axis, tap: int) -> slice:
    first = tap * axis.dilation
    return slice(first, first + (axis.output - 1) * axis.stride + 1, axis.stride)


def _phase(y: Array, weights: Array, rows: Axis, columns: Axis, phase: tuple[int, int]) -> Array:
    """The input gradient at every s-th row and column from `phase` on."""
    size = (-(-rows.size // rows.stride), -(-columns.size // columns.stride))
    total = jnp.zeros((y.shape[0], *size, y.shape[3]), y.dtype)
    for (i, down), (j, across) in itertools.product(_shifts(rows, phase[0]), _shifts(columns, phase[1])):
        total = total + jnp.sum(_shifted(y, (down, across), size) * weights[i * columns.window + j], axis=4)
    return total


def _shifts(axis: Axis, phase: int) -> list[Shift]:
    """The taps that the rows of one phase meet."""
    reached = ((tap, phase + axis.padding[0] - tap * axis.dilation) for tap in range(axis.window))
    return [(tap, start // axis.stride) for tap, start in reached if start % axis.stride == 0]


def _shifted(y: Array, shift: tuple[int, int], size: tuple[int, int]) -> Array:
    """`y` from row and column `shift` on, `size` of them, zeros where there are none."""
    sides = [(-first, first + count - have, 0) for first, count, have in zip(shift, size, y.shape[1:3], strict=True)]
    none = (0, 0, 0)
    return lax.pad(y, jnp.zeros((), y.dtype), (none, *sides, none, none))
