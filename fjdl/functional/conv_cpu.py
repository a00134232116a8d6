"""Convolution and its two gradients as XLA:CPU runs them fast.

XLA:CPU has a fast convolution for NHWC and HWIO alone, and only where a layer has more than 16 channels on one side.
The standard gradients arrive in other layouts and fall to an unoptimized loop inside `lax.scan`, so both are restated
here in that one layout; that of the kernel in a grouped convolution is not yet.  Layers of few channels become products
with band matrices, see `conv_bands`.
"""

from jax import lax

from fjdl.functional import conv_bands, conv_plain
from fjdl.functional.bilinear import Rules
from fjdl.functional.conv_plain import LAYOUT, Options
from fjdl.numerics import wide
from fjdl.typing import Array

FEW_CHANNELS = 16  # XLA:CPU's fast convolution needs more than this on one side


def convolve(x: Array, kernel: Array, *, options: Options) -> Array:
    """[n, h, w, c_in] and [kh, kw, c_in / groups, c_out] to [n, h_out, w_out, c_out]."""
    product = conv_bands.convolve if _few_channels(kernel.shape, options) else _convolve
    return product(x, kernel, options).astype(x.dtype)


def input_gradient(y: Array, kernel: Array, *, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output."""
    product = conv_bands.input_gradient if _few_channels(kernel.shape, options) else _input_gradient
    return product(y, kernel, options).astype(y.dtype)


def kernel_gradient(x: Array, y: Array, *, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output."""
    if options.groups > 1:
        return conv_plain.kernel_gradient(x, y, options=options)
    shape = (*options.window, x.shape[3], y.shape[3])
    product = conv_bands.kernel_gradient if _few_channels(shape, options) else _kernel_gradient
    return product(x, y, options).astype(y.dtype)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


def _few_channels(kernel_shape: tuple[int, ...], options: Options) -> bool:
    return max(kernel_shape[2:]) <= FEW_CHANNELS and options.groups == 1 and options.dilation == (1, 1)


def _convolve(x: Array, kernel: Array, options: Options) -> Array:
    return conv_plain.convolve(x, kernel, options=options, dtype=wide(x.dtype))


def _input_gradient(y: Array, kernel: Array, options: Options) -> Array:
    kh, kw, c_group, c_out = kernel.shape
    groups = options.groups
    flipped = kernel[::-1, ::-1].reshape(kh, kw, c_group, groups, c_out // groups)
    flipped = flipped.transpose(0, 1, 4, 3, 2).reshape(kh, kw, c_out // groups, groups * c_group)
    pads = []
    for size, window, rows, stride, (low, _), dilation in zip(
        options.size, options.window, y.shape[1:3], options.stride, options.padding, options.dilation, strict=True
    ):
        reach = dilation * (window - 1)
        before = reach - low
        pads.append((before, size + reach - ((rows - 1) * stride + 1) - before))
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
    pads = []
    for size, window, rows, stride, (low, _), dilation in zip(
        options.size, options.window, y.shape[1:3], options.stride, options.padding, options.dilation, strict=True
    ):
        pads.append((low, dilation * (window - 1) + (rows - 1) * stride + 1 - size - low))
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
