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
from fjdl.lowering.cpu import chunks
from fjdl.lowering.cpu.matrix import bits, numbers, product, transposed
from fjdl.numerics import wide
from fjdl.typing import Array

ENTRIES = 2**18  # of the wider side of a chunk of images; its strips are a few megabytes
LONG = 32  # columns from which a row of one channel is worth a move of its own


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

    def some(images: Array, cotangents: Array) -> Array:
        shifted = [chunks.padded(cotangents, (i, rows.reach - i), (0, 0)) for i in range(kh)]
        beside = jnp.concatenate(shifted, axis=-1).reshape(-1, kh * c_out)
        return product(_standing(images, rows, columns, x.dtype), numbers(beside, y.dtype), (1, 0))

    zero = jnp.zeros((kw * c_in, kh * c_out), wide(x.dtype))
    total = chunks.summed(some, zero, (bits(x), bits(y)), most=_at_once(rows, columns, max(c_in, c_out)))
    return total.reshape(kw, c_in, kh, c_out).transpose(2, 0, 1, 3)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


def _convolve(x: Array, weights: Array, options: Options, *, contracted: int) -> Array:
    """Strips times the matrix of the kernel, whose axis `contracted` runs over its columns and the input's channels."""
    rows, columns = axes_of(options)
    kh, c_out = rows.window, weights.shape[1 - contracted] // rows.window

    def some(images: Array) -> Array:
        strips = numbers(_strips(images, rows, columns), x.dtype)
        parts = product(strips, weights, (strips.ndim - 1, contracted))
        terms = (parts[..., i : i + rows.output, :, i * c_out : (i + 1) * c_out] for i in range(kh))
        return bits(reduce(operator.add, terms).astype(x.dtype))

    most = _at_once(rows, columns, max(x.shape[3], c_out))
    return numbers(chunks.mapped(some, bits(x), most=most), x.dtype)


def _at_once(rows: Axis, columns: Axis, channels: int) -> int:
    """As many images as have at most `ENTRIES`."""
    return ENTRIES // (rows.output * columns.output * channels)


def _strips(x: Array, rows: Axis, columns: Axis) -> Array:
    """[..., h_padded, w_out, kw c_in]: beside each pixel those that the other columns of the kernel meet."""
    x = _met(x, rows, columns)
    return jnp.concatenate([x[..., j : j + columns.output, :] for j in range(columns.window)], axis=-1)


def _standing(x: Array, rows: Axis, columns: Axis, dtype: jnp.dtype) -> Array:
    """[kw c_in, ... h_padded w_out]: strips whose channels come first, as numbers."""
    if columns.output < LONG:
        strips = _strips(x, rows, columns)
        return transposed(strips.reshape(-1, strips.shape[-1]), dtype)
    x = lax.optimization_barrier(jnp.moveaxis(_met(x, rows, columns), -1, 0))
    strips = jnp.concatenate([x[..., j : j + columns.output] for j in range(columns.window)])
    return numbers(lax.optimization_barrier(strips.reshape(strips.shape[0], -1)), dtype)


def _met(x: Array, rows: Axis, columns: Axis) -> Array:
    """[..., h_padded, w_padded, c]: the images with their margins, without rows that no window meets."""
    return chunks.padded(x, rows.padding, columns.padding)[..., : rows.output + rows.reach, :, :]
