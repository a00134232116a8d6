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

from fjdl.geometry import Axis
from fjdl.lowering.bilinear import Rules
from fjdl.lowering.conv_everywhere import Options, axes_of
from fjdl.lowering.taps import interlocked, phase_size, shifts
from fjdl.meshes import scan
from fjdl.numerics import widened
from fjdl.typing import Array


def convolve(x: Array, kernel: Array, options: Options) -> Array:
    """[n, h, w, c] and [kh, kw, 1, c m] to [n, h_out, w_out, c m], in float32 or wider."""
    pairs = zip(_taps(_padded(widened(x), options), options), _weights(kernel, options), strict=True)
    y = reduce(operator.add, (tap[..., None] * weight for tap, weight in pairs))
    return y.reshape(*y.shape[:3], -1)


def input_gradient(y: Array, kernel: Array, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output.

    With stride s every s-th row and every s-th column of the input meet the same taps: such a phase is a sum of shifted
    cotangents, and the phases interlock to the whole.
    """
    rows, columns = axes_of(options)
    weights = _weights(kernel, options)
    margins = [_margin(axis) for axis in (rows, columns)]
    padded = lax.pad(widened(y), jnp.zeros((), widened(y).dtype), ((0, 0, 0), *margins, (0, 0, 0)))

    def phase(a: int, b: int) -> Array:
        taps = itertools.product(shifts(rows, a), shifts(columns, b))
        terms = [
            _term(padded, weights[i * columns.window + j], (rows, down), (columns, across))
            for (i, down), (j, across) in taps
        ]
        nothing = jnp.zeros((y.shape[0], phase_size(rows), phase_size(columns), options.groups), padded.dtype)
        return reduce(operator.add, terms) if terms else nothing

    if rows.stride == columns.stride == 1:
        return phase(0, 0)
    phases = [[phase(a, b) for b in range(columns.stride)] for a in range(rows.stride)]
    return interlocked(phases, (rows, columns))


def kernel_gradient(x: Array, y: Array, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output, added up image by image.

    The sums of all taps are one reduction, so that an image is read once.
    """
    channels = (options.groups, y.shape[3] // options.groups)
    padded = _padded(widened(x), options)

    def add(total: Array, image: tuple[Array, Array]) -> tuple[Array, None]:
        cotangent = image[1].reshape(*image[1].shape[:2], *channels)
        products = [tap[..., None] * cotangent for tap in _taps(image[0], options)]
        zeros = [jnp.zeros((), total.dtype)] * len(products)
        sums = lax.reduce(products, zeros, lambda a, b: [u + v for u, v in zip(a, b, strict=True)], (0, 1))
        return total + jnp.stack(sums), None

    zero = jnp.zeros((math.prod(options.window), *channels), widened(y).dtype)
    return scan(add, zero, (padded, widened(y)))[0].reshape(*options.window, 1, -1)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


def _weights(kernel: Array, options: Options) -> Array:
    """[taps, 1, 1, 1, c, m] in float32 or wider: the m kernels of each channel side by side."""
    return widened(kernel).reshape(math.prod(options.window), 1, 1, 1, options.groups, -1)


def _padded(x: Array, options: Options) -> Array:
    return jnp.pad(x, ((0, 0), *options.padding, (0, 0)))


def _taps(padded: Array, options: Options) -> list[Array]:
    """What each tap of the kernel meets at all outputs, [..., h_out, w_out, c] each."""
    rows, columns = ([axis.met(tap) for tap in range(axis.window)] for axis in axes_of(options))
    return [padded[..., down, across, :] for down, across in itertools.product(rows, columns)]


def _margin(axis: Axis) -> tuple[int, int, int]:
    """Zeros around the outputs, so that all shifted rows of a phase lie within."""
    firsts = [shift for phase in range(axis.stride) for _, shift in shifts(axis, phase)]
    return max(0, -min(firsts)), max(0, max(firsts) + phase_size(axis) - axis.output), 0


def _term(padded: Array, weight: Array, down: tuple[Axis, int], across: tuple[Axis, int]) -> Array:
    """One tap's part of a phase: the cotangents from row and column `shift` on, times its weights."""
    rows, columns = (
        slice(first := _margin(axis)[0] + shift, first + phase_size(axis)) for axis, shift in (down, across)
    )
    part = padded[:, rows, columns]
    if weight.shape[-1] == 1:
        return part * weight[..., 0]
    return jnp.sum(part.reshape(*part.shape[:3], *weight.shape[-2:]) * weight, axis=4)
