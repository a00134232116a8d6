"""Convolution and its two gradients as XLA's own operation, for every platform."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from fjdl.geometry import AnyPadding, Axis, Pads, Pair, certain, slide
from fjdl.lowering.bilinear import Rules
from fjdl.meshes import adjoint
from fjdl.typing import Array

LAYOUT = ("NHWC", "HWIO", "NHWC")


class Options(NamedTuple):
    """Static geometry of one convolution; hashable, so that it can be a parameter of a primitive."""

    size: tuple[int, int]  # rows and columns of the input
    window: tuple[int, int]  # rows and columns of the kernel
    stride: tuple[int, int]
    padding: Pads
    dilation: tuple[int, int]
    groups: int


def options_of(
    size: tuple[int, int], *, window: tuple[int, int], stride: Pair, padding: AnyPadding, dilation: Pair, groups: int
) -> Options:
    """Those of a window over an image; raises `ValueError` as `slide` does."""
    rows, columns = slide(size, window=window, stride=stride, padding=padding, dilation=dilation)
    strides, dilations = (rows.stride, columns.stride), (rows.dilation, columns.dilation)
    return Options(size, window, strides, (rows.padding, columns.padding), dilations, groups)


def axes_of(options: Options) -> tuple[Axis, Axis]:
    """The windows along rows and along columns."""
    rows, columns = slide(
        options.size,
        window=options.window,
        stride=options.stride,
        padding=options.padding,
        dilation=options.dilation,
    )
    return rows, columns


def convolve(x: Array, kernel: Array, *, options: Options, dtype: DTypeLike | None = None) -> Array:
    """[n, h, w, c_in], [kh, kw, c_in / groups, c_out] to [n, h_out, w_out, c_out], summed and returned in `dtype`."""
    known = all(isinstance(side, int) for sides in options.padding for side in sides)
    return lax.conv_general_dilated(
        x,
        kernel,
        options.stride,
        options.padding if known else "SAME",  # no other leaves sides open, and XLA takes only numbers
        rhs_dilation=options.dilation,
        dimension_numbers=LAYOUT,
        feature_group_count=options.groups,
        preferred_element_type=dtype,
    )


def input_gradient(y: Array, kernel: Array, *, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output."""
    y, options = without_stride(y, options)
    shape = (y.shape[0], *options.size, kernel.shape[2] * options.groups)
    return adjoint(lambda x: convolve(x, kernel, options=options), y, shape=shape, dtype=y.dtype)


def without_stride(y: Array, options: Options) -> tuple[Array, Options]:
    """Where a window is larger than the output, the cotangent with zeros between its entries, of a stride of 1.

    XLA swaps the operands of such a convolution. With a stride, some of the swapped ones fail a check of its algebraic
    simplifier ("Window dimensions do not match RHS shape"), which ends the whole process: jaxlib 0.10.2 and 0.12.0.
    """
    if max(options.stride) == 1 or all(
        certain(lambda k=k, n=n: k <= n) for k, n in zip(options.window, y.shape[1:3], strict=True)
    ):
        return y, options
    return spread(y, options), options._replace(stride=(1, 1))


def spread(y: Array, options: Options) -> Array:
    """An entry for every position of the window at a stride of 1: zeros between those of `y`."""
    sides = [
        (0, axis.size + sum(axis.padding) - axis.reach - (axis.output - 1) * axis.stride - 1, axis.stride - 1)
        for axis in axes_of(options)
    ]
    return lax.pad(y, jnp.zeros((), y.dtype), ((0, 0, 0), *sides, (0, 0, 0)))


def kernel_gradient(x: Array, y: Array, *, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output."""
    shape = (*options.window, x.shape[3] // options.groups, y.shape[3])
    return adjoint(lambda kernel: convolve(x, kernel, options=options), y, shape=shape, dtype=y.dtype)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)
