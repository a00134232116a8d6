"""Convolutions of signed 8-bit integers: [n, h, w, c] and [kh, kw, c / groups, c_out] to int32."""

import itertools
import operator
from functools import reduce
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Primitive

from fjdl.lowering.bilinear import define
from fjdl.lowering.conv_everywhere import Options, axes_of, convolve
from fjdl.lowering.int8.dot import dot
from fjdl.measured import measured
from fjdl.meshes import alike
from fjdl.typing import Array

FEW_CHANNELS = 16  # XLA:CPU has a fast convolution of int8 where there are more on one side
FILLED = 32  # output channels, zeros too, that are faster than fewer
OF_PATCHES = 8  # input channels below which a product with the patches of the image is faster
# Whether XLA:CPU is slow without padding: 24 ms for 64 images of 34 x 34 x 64 to 64 channels, and 5 ms with a column of
# zeros whose output is cut off.
UNPADDED_IS_SLOW = measured({"0.10.2": True, "0.12.0": False})


def plain(x: Array, kernel: Array, *, options: Options) -> Array:
    """XLA's own convolution."""
    return convolve(x, kernel, options=options, dtype=jnp.int32)


def on_cpu(x: Array, kernel: Array, *, options: Options) -> Array:
    """As XLA:CPU runs it fast."""
    c_group, c_out = kernel.shape[2:]
    if not all(isinstance(size, int) for size in (*options.size, *x.shape)):
        return plain(x, kernel, options=options)
    if c_group == 1:
        return taps(x, kernel, options)
    if options.groups > 1:
        return in_groups(x, kernel, options)
    if options.window == (1, 1) and options.padding == ((0, 0), (0, 0)):
        return pointwise(x, kernel, options)
    if c_group < OF_PATCHES:
        return patches(x, kernel, options)
    if max(c_group, c_out) <= FEW_CHANNELS:
        filled = jnp.pad(kernel, ((0, 0), (0, 0), (0, 0), (0, FILLED - c_out)))
        return padded(x, filled, options)[..., :c_out]
    return padded(x, kernel, options)


def padded(x: Array, kernel: Array, options: Options) -> Array:
    """XLA's own convolution, with a column of padding where it is slow without any."""
    if not UNPADDED_IS_SLOW or any(size for pair in options.padding for size in pair):
        return plain(x, kernel, options=options)
    wider = options._replace(padding=((0, 0), (0, 1)))
    return plain(x, kernel, options=wider)[:, :, : axes_of(options)[1].output]


def pointwise(x: Array, kernel: Array, options: Options) -> Array:
    """Windows of one pixel: a matrix product."""
    x = x[:, :: options.stride[0], :: options.stride[1]]
    return dot(x.reshape(-1, x.shape[3]), kernel[0, 0]).reshape(*x.shape[:3], -1)


def taps(x: Array, kernel: Array, options: Options) -> Array:
    """One input channel for each kernel, as depthwise: the sum of shifted images, each times its tap."""
    weights = kernel.reshape(-1, 1, 1, 1, options.groups, kernel.shape[3] // options.groups).astype(jnp.int32)
    met = met_by_taps(x, options)
    terms = [part[..., None].astype(jnp.int32) * weight for part, weight in zip(met, weights, strict=True)]
    total = reduce(operator.add, terms)
    return total.reshape(*total.shape[:3], -1)


def patches(x: Array, kernel: Array, options: Options) -> Array:
    """Few input channels: the product of the kernel with what it meets at each position, side by side (im2col)."""
    met = jnp.concatenate(met_by_taps(x, options), axis=3)
    total = dot(met.reshape(-1, met.shape[3]), kernel.reshape(-1, kernel.shape[3]))
    return total.reshape(*met.shape[:3], -1)


def met_by_taps(x: Array, options: Options) -> list[Array]:
    """What each tap meets at all positions, [n, h_out, w_out, c] each."""
    padded = jnp.pad(x, ((0, 0), *options.padding, (0, 0)))
    places = itertools.product(*([axis.met(tap) for tap in range(axis.window)] for axis in axes_of(options)))
    return [padded[:, rows, columns] for rows, columns in places]


def in_groups(x: Array, kernel: Array, options: Options) -> Array:
    """A convolution for each group of channels, side by side."""
    parts = zip(jnp.split(x, options.groups, axis=3), jnp.split(kernel, options.groups, axis=3), strict=True)
    whole = options._replace(groups=1)
    return jnp.concatenate([on_cpu(a, b, options=whole) for a, b in parts], axis=3)


_convolution = Primitive("fjdl_int8_conv")
define(_convolution, plain, faster={"cpu": measured({"0.10.2": on_cpu, "0.12.0": on_cpu})})


def conv(x: Array, kernel: Array, **static: Any) -> Array:
    """The convolution of int8 images and kernels as int32, with the `options` of `conv_everywhere`."""
    return _convolution.bind(*alike(x, kernel), **static)
