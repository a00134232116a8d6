"""Convolution as products with patches: beside each output all pixels that its window meets.

Where windows advance by more than a pixel, or the input has few channels, patches are hardly more than the image.  A
few images at a time stay in the processor's cache.
"""

import itertools
import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from fjdl.geometry import Axis
from fjdl.lowering.bilinear import Rules
from fjdl.lowering.conv_everywhere import Options, axes_of
from fjdl.lowering.cpu import chunks
from fjdl.lowering.cpu.matrix import bits, numbers, product, transposed
from fjdl.lowering.taps import interlocked, phase_size, shifts
from fjdl.numerics import wide
from fjdl.typing import Array

ENTRIES = 2**20  # of the patches of a chunk of images; they are a few megabytes


def convolve(x: Array, kernel: Array, options: Options) -> Array:
    """[n, h, w, c_in] and [kh, kw, c_in, c_out] to [n, h_out, w_out, c_out], in the dtype of `x`."""
    axes = axes_of(options)
    weights = kernel.reshape(-1, kernel.shape[3])

    def some(images: Array) -> Array:
        patches = numbers(_patches(images, axes), x.dtype)
        return bits(product(patches, weights, (patches.ndim - 1, 0)).astype(x.dtype))

    return _in_chunks(some, x, axes, weights.shape[0])


def input_gradient(y: Array, kernel: Array, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output.

    With stride s every s-th row and every s-th column of the input meet the same taps: such a phase is a product with
    patches of cotangents, and the phases interlock to the whole.
    """
    axes = axes_of(options)
    c_out = kernel.shape[3]

    def some(y: Array) -> Array:
        phases = [[_phase(y, kernel, axes, (a, b)) for b in range(options.stride[1])] for a in range(options.stride[0])]
        return interlocked(phases, axes)

    return _in_chunks(some, y, axes, math.prod(options.window) * c_out)


def kernel_gradient(x: Array, y: Array, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output."""
    axes, taps = axes_of(options), math.prod(options.window)
    c_in, c_out = x.shape[3], y.shape[3]

    def some(images: Array, cotangents: Array) -> Array:
        patches = numbers(_patches(images, axes).reshape(-1, taps * c_in), x.dtype)
        return product(transposed(cotangents.reshape(-1, c_out), y.dtype), patches, (1, 0))

    zero = jnp.zeros((c_out, taps * c_in), wide(x.dtype))
    total = chunks.summed(some, zero, (bits(x), bits(y)), most=_at_once(axes, taps * c_in))
    return total.T.reshape(*options.window, c_in, c_out)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


def _in_chunks(function: Callable[[Array], Array], images: Array, axes: tuple[Axis, Axis], entries: int) -> Array:
    return numbers(chunks.mapped(function, bits(images), most=_at_once(axes, entries)), images.dtype)


def _at_once(axes: tuple[Axis, Axis], entries: int) -> int:
    """As many images as have patches of at most `ENTRIES`."""
    return ENTRIES // (axes[0].output * axes[1].output * entries)


def _patches(x: Array, axes: tuple[Axis, Axis]) -> Array:
    """[..., h_out, w_out, kh kw c_in]: what the taps of each window meet."""
    x = chunks.padded(x, axes[0].padding, axes[1].padding)
    rows, columns = ([axis.met(tap) for tap in range(axis.window)] for axis in axes)
    return jnp.concatenate([x[..., down, across, :] for down, across in itertools.product(rows, columns)], axis=-1)


def _phase(y: Array, kernel: Array, axes: tuple[Axis, Axis], phase: tuple[int, int]) -> Array:
    """The input gradient at every s-th row and column from `phase` on."""
    size = [phase_size(axis) for axis in axes]
    rows, columns = (shifts(axis, start) for axis, start in zip(axes, phase, strict=True))
    if not rows or not columns:
        return jnp.zeros((*y.shape[:-3], *size, kernel.shape[2]), y.dtype)
    taps = list(itertools.product(rows, columns))
    shifted = jnp.concatenate([_shifted(y, (down, across), size) for (_, down), (_, across) in taps], axis=-1)
    weights = jnp.concatenate([kernel[i, j].T for (i, _), (j, _) in taps])
    return bits(product(numbers(shifted, kernel.dtype), weights, (shifted.ndim - 1, 0)).astype(kernel.dtype))


def _shifted(y: Array, shift: tuple[int, int], size: list[int]) -> Array:
    """`y` from row and column `shift` on, `size` of them, zeros where there are none."""
    sides = [(-first, first + count - have, 0) for first, count, have in zip(shift, size, y.shape[-3:-1], strict=True)]
    return lax.pad(y, jnp.zeros((), y.dtype), ((0, 0, 0),) * (y.ndim - 3) + (*sides, (0, 0, 0)))
