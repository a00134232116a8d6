"""Convolution as products with strips, on the CPU.

A strip is the image with copies of itself appended along the channels, one copy for each column of the kernel, and
each copy is shifted by one column more.  The product of a strip with the kernel gives one term for each row of the
kernel; the sum of these terms is the output.  The product computes nothing that is thrown away.  A strip takes `kw`
times the memory of the image, where the matrix of patches (`im2col`) takes `kh kw` times.  Only as many images are
handled at a time as fit into the processor's cache.
"""

import operator
from functools import reduce

import jax.numpy as jnp
from jax import lax

from fjdl.geometry import Axis
from fjdl.lowering.bilinear import Rules
from fjdl.lowering.conv_everywhere import Options, axes_of
from fjdl.lowering.cpu.matrix import bits, numbers, product, transposed
from fjdl.lowering.taps import divided
from fjdl.meshes import scan
from fjdl.numerics import wide
from fjdl.typing import Array

ENTRIES = 2**18  # of the wider side of a chunk of images; its strips are a few megabytes


def convolve(x: Array, kernel: Array, options: Options) -> Array:
    """[n, h, w, c_in] and [kh, kw, c_in, c_out] to [n, h_out, w_out, c_out], in the dtype of `x`."""
    kh, kw, c_in, c_out = kernel.shape
    weights = bits(kernel).transpose(1, 2, 0, 3).reshape(kw * c_in, kh * c_out)
    return _convolve(x, numbers(weights, kernel.dtype), options, contracted=0)


def input_gradient(y: Array, kernel: Array, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output: the convolution with the rotated kernel."""
    margins = [(axis.reach - axis.padding[0], axis.size + axis.padding[0] - axis.output) for axis in axes_of(options)]
    rotated = options._replace(size=y.shape[1:3], padding=tuple(margins))
    kh, kw, c_in, c_out = kernel.shape
    weights = bits(kernel)[::-1, ::-1].transpose(0, 2, 1, 3).reshape(kh * c_in, kw * c_out)
    return _convolve(y, numbers(weights, kernel.dtype), rotated, contracted=1)


def kernel_gradient(x: Array, y: Array, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output."""
    rows, columns = axes_of(options)
    (kh, kw), c_in, c_out = options.window, x.shape[3], y.shape[3]

    def add(total: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        strips = _strips(chunk[0], rows, columns).reshape(-1, kw * c_in)
        shifted = [jnp.pad(chunk[1], ((0, 0), (i, rows.reach - i), (0, 0), (0, 0))) for i in range(kh)]
        beside = jnp.concatenate(shifted, axis=3).reshape(-1, kh * c_out)
        return total + product(transposed(strips, x.dtype), numbers(beside, y.dtype), (1, 0)), None

    zero = jnp.zeros((kw * c_in, kh * c_out), wide(x.dtype))
    wider = max(c_in, c_out)
    total, _ = scan(add, zero, (_chunks(x, rows, columns, wider), _chunks(y, rows, columns, wider)))
    return total.reshape(kw, c_in, kh, c_out).transpose(2, 0, 1, 3)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


def _convolve(x: Array, weights: Array, options: Options, *, contracted: int) -> Array:
    """Strips times the matrix of the kernel, whose axis `contracted` runs over its columns and the input's channels."""
    rows, columns = axes_of(options)
    kh, c_out = rows.window, weights.shape[1 - contracted] // rows.window

    def some(images: Array) -> Array:
        strips = numbers(_strips(images, rows, columns), x.dtype)
        parts = product(strips, weights, (3, contracted)).reshape(*strips.shape[:3], kh, c_out)
        sums = reduce(operator.add, (parts[:, i : i + rows.output, :, i] for i in range(kh)))
        return bits(sums.astype(x.dtype))

    y = lax.map(some, _chunks(x, rows, columns, max(x.shape[3], c_out)))
    return numbers(y.reshape(x.shape[0], rows.output, columns.output, c_out), x.dtype)


def _chunks(images: Array, rows: Axis, columns: Axis, channels: int) -> Array:
    """The bits of as many images at once as have at most `ENTRIES`."""
    return bits(divided(images, ENTRIES // (rows.output * columns.output * channels)))


def _strips(x: Array, rows: Axis, columns: Axis) -> Array:
    """[n, h_padded, w_out, kw c_in]: beside each pixel those that the other columns of the kernel meet."""
    x = jnp.pad(x, ((0, 0), rows.padding, columns.padding, (0, 0)))
    x = x[:, : rows.output + rows.reach]
    return jnp.concatenate([x[:, :, j : j + columns.output] for j in range(columns.window)], axis=3)
