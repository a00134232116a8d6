"""Transposed convolutions: the adjoints of convolutions, which map an output back to the size of its input."""

from collections.abc import Callable

import jax.numpy as jnp

from fjdl.functional.conv.conv1d import conv1d
from fjdl.functional.conv.conv2d import conv2d
from fjdl.functional.conv.conv3d import conv3d
from fjdl.geometry import (
    AnyPadding,
    Padding,
    Padding1D,
    Padding3D,
    Pair,
    Sides,
    Single,
    Triple,
    explicit_padding,
    per_axis,
    transposed_size,
)
from fjdl.lowering.bias import add_bias
from fjdl.meshes import adjoint, alike
from fjdl.typing import Array, Float, typed


@typed
def conv_transpose2d(
    x: Float[Array, "*batch h w c_in"],
    kernel: Float[Array, "kh kw c_group c_in"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "SAME",
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Float[Array, "*batch h_out w_out c_out"]:
    """The adjoint of `conv2d` with the same kernel and options: a copy of the kernel per pixel, times it, all summed.

    Sums are taken in float32, in the dtype of `x`. The kernel is that of the convolution it transposes,
    `[kh, kw, c_out / groups, c_in]`, and `padding` is what that convolution would add, so here it is taken off: the
    output has `stride (h - 1) + dilation (kh - 1) + 1 - pads + output_padding` rows, and with "SAME" `stride h`.
    `output_padding` in [0, stride) says which of the sizes that the convolution maps to `h` is meant. Equals
    `torch.nn.functional.conv_transpose2d` after moving channels, which also lets `output_padding` exceed the stride
    where it is below the dilation. Zeiler et al. 2010; "deconvolution" is a misnomer, for it inverts nothing.

    Raises `ValueError` for groups that do not divide the channels, an empty kernel, a stride or dilation below 1,
    negative padding or padding that leaves no pixel, and for `output_padding` outside its range or with "SAME".
    """
    return _transpose(conv2d, x, kernel, bias, stride, padding, output_padding, dilation, groups)


@typed
def conv_transpose1d(
    x: Float[Array, "*batch t c_in"],
    kernel: Float[Array, "k c_group c_in"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Single = 1,
    padding: Padding1D = "SAME",
    output_padding: Single = 0,
    dilation: Single = 1,
    groups: int = 1,
) -> Float[Array, "*batch t_out c_out"]:
    """The adjoint of `conv1d`; see `conv_transpose2d`. Equals `torch.nn.functional.conv_transpose1d`."""
    return _transpose(conv1d, x, kernel, bias, stride, padding, output_padding, dilation, groups)


@typed
def conv_transpose3d(
    x: Float[Array, "*batch d h w c_in"],
    kernel: Float[Array, "kd kh kw c_group c_in"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Triple = 1,
    padding: Padding3D = "SAME",
    output_padding: Triple = 0,
    dilation: Triple = 1,
    groups: int = 1,
) -> Float[Array, "*batch d_out h_out w_out c_out"]:
    """The adjoint of `conv3d`; see `conv_transpose2d`. Equals `torch.nn.functional.conv_transpose3d`."""
    return _transpose(conv3d, x, kernel, bias, stride, padding, output_padding, dilation, groups)


def _transpose(
    convolve: Callable[..., Array],
    x: Array,
    kernel: Array,
    bias: Array | None,
    stride: int | tuple[int, ...],
    padding: AnyPadding,
    output_padding: int | tuple[int, ...],
    dilation: int | tuple[int, ...],
    groups: int,
) -> Array:
    *window, within, c_in = kernel.shape
    if 0 in kernel.shape or groups < 1 or c_in % groups:
        raise ValueError(
            f"groups must divide the input channels and kernel must have no empty axis, got groups={groups} and a "
            f"kernel of shape {kernel.shape}"
        )
    axes = len(window)
    steps, spacing = per_axis("stride", stride, axes=axes), per_axis("dilation", dilation, axes=axes)
    extra = (output_padding,) * axes if isinstance(output_padding, int) else output_padding
    size, pads = _sizes(x.shape[-1 - axes : -1], tuple(window), steps, padding, extra, spacing)
    x, weights = alike(jnp.asarray(x), jnp.asarray(kernel).astype(x.dtype))
    options = {"stride": steps, "padding": pads, "dilation": spacing, "groups": groups}
    shape = (*x.shape[: -1 - axes], *size, within * groups)
    return add_bias(adjoint(lambda image: convolve(image, weights, **options), x, shape=shape, dtype=x.dtype), bias)


def _sizes(
    size: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    padding: AnyPadding,
    output_padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[Sides, ...]]:
    """The output's size, and the padding of the convolution that maps it to `size`."""
    same = tuple(n * s for n, s in zip(size, stride, strict=True))
    pads = explicit_padding(padding, size=same, window=window, stride=stride, dilation=dilation)
    if padding == "SAME":
        if any(output_padding):
            raise ValueError(f'output_padding must be 0 with padding "SAME", got {output_padding}')
        return same, pads
    axes = zip(size, window, stride, pads, dilation, output_padding, strict=True)
    return tuple(
        transposed_size(n, window=k, stride=s, padding=sides, dilation=d, output_padding=extra)
        for n, k, s, sides, d, extra in axes
    ), pads
