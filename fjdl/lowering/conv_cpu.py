"""Convolution and its two gradients as XLA:CPU runs them fast.

XLA:CPU has a fast convolution for NHWC and HWIO alone, and only where a layer has more than 16 channels on one side.
The standard gradients arrive in other layouts and fall to an unoptimized loop inside `lax.scan`, so both are restated
here in that one layout.  Layers of few channels become products with band matrices (`bands`), those of one channel
for each kernel sums of shifted images (`depthwise`), windows of one pixel matrix products (`pointwise`).
Where windows advance by more than a pixel or meet few channels, products with patches (`patches`) are faster, and
where images are large, products with strips (`strips`).
"""

import math

import jax.numpy as jnp
from jax import lax

from fjdl.lowering import conv_everywhere
from fjdl.lowering.bilinear import Rules
from fjdl.lowering.conv_everywhere import LAYOUT, Options, axes_of
from fjdl.lowering.cpu import bands, depthwise, patches, pointwise, strips
from fjdl.measured import measured
from fjdl.numerics import wide
from fjdl.typing import Array

FEW_CHANNELS = 16  # XLA:CPU's fast convolution needs more than this on one side
NEVER = math.inf
STRIPS = measured({"0.10.2": 24, "0.12.0": NEVER})  # columns of an image from which strips are faster than XLA's own
STRIPS_OF_GRADIENT = 6  # and for the kernel gradient
STRIPS_OF_HALVES = 4  # in bfloat16, of which XLA:CPU has fast matrix products only


def convolve(x: Array, kernel: Array, *, options: Options) -> Array:
    """[n, h, w, c_in] and [kh, kw, c_in / groups, c_out] to [n, h_out, w_out, c_out]."""
    return _method(kernel.shape, options, _strips(x.dtype)).out(x, kernel, options).astype(x.dtype)


def input_gradient(y: Array, kernel: Array, *, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output."""
    y, options = conv_everywhere.without_stride(y, options)
    return _method(kernel.shape, options, _strips(y.dtype)).lhs(y, kernel, options).astype(y.dtype)


def kernel_gradient(x: Array, y: Array, *, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output."""
    shape = (*options.window, x.shape[3] // options.groups, y.shape[3])
    return _method(shape, options, min(STRIPS_OF_GRADIENT, _strips(x.dtype))).rhs(x, y, options).astype(y.dtype)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)
MEASURED = {"0.10.2": RULES, "0.12.0": RULES}


def _method(kernel_shape: tuple[int, ...], options: Options, columns: float) -> Rules:
    """The fastest way for this geometry, summed in float32 or wider."""
    c_group, c_out = kernel_shape[2:]
    if not all(isinstance(size, int) for size in options.size):  # `jax.export` leaves it open
        return CANONICAL
    if options.groups > 1:
        return depthwise.RULES if c_group == 1 else CANONICAL
    if pointwise.fits(options):
        return pointwise.RULES
    if max(c_group, c_out) <= FEW_CHANNELS and options.dilation == (1, 1):
        return bands.RULES
    if max(options.stride) > 1 or c_group < FEW_CHANNELS:
        return patches.RULES
    return strips.RULES if _strips_fit(options, columns) else CANONICAL


def _strips(dtype: jnp.dtype) -> float:
    return STRIPS_OF_HALVES if dtype.itemsize == 2 else STRIPS


def _strips_fit(options: Options, columns: float) -> bool:
    """No dilation, margins of the gradient that are not negative, and large images; the stride is 1."""
    plain = options.dilation == (1, 1)
    within = all(max(pads) < window for pads, window in zip(options.padding, options.window, strict=True))
    return plain and within and options.size[1] >= columns


def _convolve(x: Array, kernel: Array, options: Options) -> Array:
    return conv_everywhere.convolve(x, kernel, options=options, dtype=wide(x.dtype))


def _input_gradient(y: Array, kernel: Array, options: Options) -> Array:
    kh, kw, c_group, c_out = kernel.shape
    groups = options.groups
    flipped = kernel[::-1, ::-1].reshape(kh, kw, c_group, groups, c_out // groups)
    flipped = flipped.transpose(0, 1, 4, 3, 2).reshape(kh, kw, c_out // groups, groups * c_group)
    pads = []
    for axis in axes_of(options):
        before = axis.reach - axis.padding[0]
        pads.append((before, axis.size + axis.reach - (axis.output - 1) * axis.stride - 1 - before))
    return lax.conv_general_dilated(
        y,
        flipped,
        (1, 1),
        pads,
        lhs_dilation=options.stride,
        rhs_dilation=options.dilation,
        dimension_numbers=LAYOUT,
        feature_group_count=groups,
        preferred_element_type=wide(y.dtype),
    )


def _kernel_gradient(x: Array, y: Array, options: Options) -> Array:
    if options.groups > 1:
        parts = zip(jnp.split(x, options.groups, axis=3), jnp.split(y, options.groups, axis=3), strict=True)
        whole = options._replace(groups=1)
        return jnp.concatenate([_kernel_gradient(a, b, whole) for a, b in parts], axis=3)
    pads = [
        (axis.padding[0], axis.reach + (axis.output - 1) * axis.stride + 1 - axis.size - axis.padding[0])
        for axis in axes_of(options)
    ]
    out = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        y.transpose(1, 2, 0, 3),
        options.dilation,
        pads,
        rhs_dilation=options.stride,
        dimension_numbers=LAYOUT,
        preferred_element_type=wide(x.dtype),
    )
    return out.transpose(1, 2, 0, 3)


CANONICAL = Rules(out=_convolve, lhs=_input_gradient, rhs=_kernel_gradient)
