"""Convolution as products with strips: images beside themselves, shifted by one column for each column of the kernel.

A strip times the kernel's columns gives what every row of the kernel contributes, and these add up to the outputs.  So
the product does no work in vain, and only the columns of the kernel multiply the memory, not its rows too, as in an
ordinary matrix of patches.  A few images at a time stay in the processor's cache.
"""

import operator
from functools import reduce

import jax.numpy as jnp
from jax import lax

from fjdl.functional.bilinear import Rules
from fjdl.functional.conv_plain import Options
from fjdl.functional.conv_taps import axes_of, divided
from fjdl.geometry import Axis
from fjdl.numerics import wide
from fjdl.typing import Array

ENTRIES = 2**18  # of the wider side of a chunk of images; its strips are a few megabytes


def convolve(x: Array, kernel: Array, options: Options) -> Array:
    """[n, h, w, c_in] and [kh, kw, c_in, c_out] to [n, h_out, w_out, c_out], in float32 or wider."""
    rows, columns = axes_of(options)
    kh, kw, c_in, c_out = kernel.shape
    weights = kernel.transpose(1, 2, 0, 3).reshape(kw * c_in, kh * c_out)

    def some(x: Array) -> Array:
        strips = _strips(x, rows, columns)
        parts = _product(strips, weights, (3, 0)).reshape(*strips.shape[:3], kh, c_out)
        return reduce(operator.add, (parts[:, i : i + rows.output, :, i] for i in range(kh)))

    return lax.map(some, _chunks(x, rows, columns, max(c_in, c_out))).reshape(
        x.shape[0], rows.output, columns.output, c_out
    )


def input_gradient(y: Array, kernel: Array, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output: the convolution with the rotated kernel."""
    margins = [(axis.reach - axis.padding[0], axis.size + axis.padding[0] - axis.output) for axis in axes_of(options)]
    turned = options._replace(size=y.shape[1:3], padding=tuple(margins))
    return convolve(y, kernel[::-1, ::-1].swapaxes(2, 3), turned)


def kernel_gradient(x: Array, y: Array, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output."""
    rows, columns = axes_of(options)
    (kh, kw), c_in, c_out = options.window, x.shape[3], y.shape[3]

    def add(total: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        strips = _strips(chunk[0], rows, columns).reshape(-1, kw * c_in)
        shifted = [jnp.pad(chunk[1], ((0, 0), (i, rows.reach - i), (0, 0), (0, 0))) for i in range(kh)]
        beside = jnp.concatenate(shifted, axis=3).reshape(-1, kh * c_out)
        return total + _product(lax.optimization_barrier(strips.T), beside, (1, 0)), None

    zero = jnp.zeros((kw * c_in, kh * c_out), wide(x.dtype))
    wider = max(c_in, c_out)
    total, _ = lax.scan(add, zero, (_chunks(x, rows, columns, wider), _chunks(y, rows, columns, wider)))
    return total.reshape(kw, c_in, kh, c_out).transpose(2, 0, 1, 3)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


def _chunks(images: Array, rows: Axis, columns: Axis, channels: int) -> Array:
    """As many images at once as have at most `ENTRIES`."""
    return divided(images, ENTRIES // (rows.output * columns.output * channels))


def _strips(x: Array, rows: Axis, columns: Axis) -> Array:
    """[n, h_padded, w_out, kw c_in]: beside each pixel those that the other columns of the kernel meet."""
    x = jnp.pad(x, ((0, 0), rows.padding, columns.padding, (0, 0)))
    x = x[:, : rows.output + rows.reach]
    return jnp.concatenate([x[:, :, j : j + columns.output] for j in range(columns.window)], axis=3)


def _product(a: Array, b: Array, axes: tuple[int, int]) -> Array:
    return lax.dot_general(a, b, (((axes[0],), (axes[1],)), ((), ())), preferred_element_type=wide(a.dtype))
