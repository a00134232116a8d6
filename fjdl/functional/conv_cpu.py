"""Convolution and its two gradients as XLA:CPU runs them fast.

XLA:CPU has a fast convolution for NHWC and HWIO alone, and only where a layer has more than 16 channels on one side.
The standard gradients arrive in other layouts and fall to an unoptimized loop inside `lax.scan`,
so both are restated here in that one layout. Layers of few channels become matrix products with a band matrix instead:
the outputs of a block of columns depend on a slightly wider block of input columns, which is one dense product.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl.functional import conv_plain
from fjdl.functional.bilinear import Rules
from fjdl.functional.conv_plain import LAYOUT, Options
from fjdl.functional.geometry import output_size
from fjdl.numerics import wide
from fjdl.typing import Array

FEW_CHANNELS = 16  # XLA:CPU's fast convolution needs more than this on one side


def convolve(x: Array, kernel: Array, *, options: Options) -> Array:
    """[n, h, w, c_in] and [kh, kw, c_in / groups, c_out] to [n, h_out, w_out, c_out]."""
    if not _few_channels(kernel.shape, options):
        return _direct(x, kernel, options).astype(x.dtype)
    y = _product(_patches(x, options), _bands(kernel, options), (3, 0)).astype(x.dtype)
    n, rows, blocks, _ = y.shape
    return y.reshape(n, rows, blocks * _block(options), kernel.shape[3])[:, :, : _columns(options)]


def input_gradient(y: Array, kernel: Array, *, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output."""
    if not _few_channels(kernel.shape, options):
        return _direct_input_gradient(y, kernel, options).astype(y.dtype)
    patches = _product(_blocks(y, options), _bands(kernel, options), (3, 1))
    x = jax.ShapeDtypeStruct((y.shape[0], *options.size, kernel.shape[2]), patches.dtype)
    return jax.linear_transpose(lambda x: _patches(x, options), x)(patches)[0].astype(y.dtype)


def kernel_gradient(x: Array, y: Array, *, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output."""
    shape = (*options.window, x.shape[3] // options.groups, y.shape[3])
    if not _few_channels(shape, options):
        grouped = options.groups > 1
        return (conv_plain.kernel_gradient if grouped else _direct_kernel_gradient)(x, y, options=options).astype(
            y.dtype
        )
    patches, blocks = _patches(x, options), _blocks(y, options)
    bands = _product(patches.reshape(-1, patches.shape[3]), blocks.reshape(-1, blocks.shape[3]), (0, 0))
    kernel = jax.ShapeDtypeStruct(shape, bands.dtype)
    return jax.linear_transpose(lambda kernel: _bands(kernel, options), kernel)(bands)[0].astype(y.dtype)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


# --- band matrices


def _few_channels(kernel_shape: tuple[int, ...], options: Options) -> bool:
    return max(kernel_shape[2:]) <= FEW_CHANNELS and options.groups == 1 and options.dilation == (1, 1)


def _rows(options: Options) -> int:
    return output_size(options.size[0], window=options.window[0], stride=options.stride[0], padding=options.padding[0])


def _columns(options: Options) -> int:
    return output_size(options.size[1], window=options.window[1], stride=options.stride[1], padding=options.padding[1])


def _block(options: Options) -> int:
    """Output columns per block: about the kernel's width, and a divisor of the output's width where one is near."""
    width, columns = options.window[1], _columns(options)
    divisors = (block for block in range(max(width - 1, 1), 2 * width + 1) if columns % block == 0)
    return next(divisors, min(width, columns))


def _reach(options: Options) -> int:
    """Input columns that one block of output columns depends on."""
    return (_block(options) - 1) * options.stride[1] + options.window[1]


def _patches(x: Array, options: Options) -> Array:
    """[n, rows, blocks, kh * reach * c_in]: what each block of outputs depends on."""
    n, _, w, c = x.shape
    rows, blocks, reach = _rows(options), math.ceil(_columns(options) / _block(options)), _reach(options)
    advance, stride = _block(options) * options.stride[1], options.stride[0]
    (top, bottom), (left, right) = options.padding
    right = max(right, (blocks - 1) * advance + max(reach, advance) - w - left)
    x = jnp.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    x = x.reshape(n, x.shape[1], x.shape[2] * c)
    if reach <= advance:
        columns = x[:, :, : blocks * advance * c].reshape(n, x.shape[1], blocks, advance * c)[..., : reach * c]
    else:
        columns = jnp.stack([x[:, :, b * advance * c : (b * advance + reach) * c] for b in range(blocks)], axis=2)
    return jnp.concatenate(
        [columns[:, i : i + (rows - 1) * stride + 1 : stride] for i in range(options.window[0])], axis=3
    )


def _blocks(y: Array, options: Options) -> Array:
    """[n, rows, blocks, block * c_out], the missing columns of the last block filled with zeros."""
    n, rows, columns, c = y.shape
    block = _block(options)
    count = math.ceil(columns / block)
    y = jnp.pad(y, ((0, 0), (0, 0), (0, count * block - columns), (0, 0)))
    return y.reshape(n, rows, count, block * c)


def _bands(kernel: Array, options: Options) -> Array:
    """[kh * reach * c_in, block * c_out]: the kernel shifted to each output column of a block."""
    kh, kw, c_in, c_out = kernel.shape
    block, reach = _block(options), _reach(options)
    column, tap = np.meshgrid(np.arange(block), np.arange(kw), indexing="ij")
    place = np.zeros((reach, block, kw))
    place[column * options.stride[1] + tap, column, tap] = 1
    bands = jnp.einsum("rbt,htio->hribo", jnp.asarray(place, kernel.dtype), kernel)
    return bands.reshape(kh * reach * c_in, block * c_out)


def _product(a: Array, b: Array, axes: tuple[int, int]) -> Array:
    """Contraction of one axis of each, accumulated and returned in float32 or wider."""
    dimensions = (((axes[0],), (axes[1],)), ((), ()))
    return lax.dot_general(a, b, dimensions, preferred_element_type=wide(a.dtype))


# --- direct convolutions, all NHWC and HWIO


def _direct(x: Array, kernel: Array, options: Options) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        options.stride,
        options.padding,
        rhs_dilation=options.dilation,
        dimension_numbers=LAYOUT,
        feature_group_count=options.groups,
        preferred_element_type=wide(x.dtype),
    )


def _direct_input_gradient(y: Array, kernel: Array, options: Options) -> Array:
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


def _direct_kernel_gradient(x: Array, y: Array, *, options: Options) -> Array:
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
