"""Convolutions with fewer weights: across channels, across space, or across both one after the other."""

import jax.numpy as jnp

from fjdl.functional.conv.conv2d import conv2d
from fjdl.functional.linear import linear
from fjdl.geometry import ConvPadding, Pair, slide
from fjdl.typing import Array, Float, typed


@typed
def depthwise_conv2d(
    x: Float[Array, "*batch h w c_in"],
    kernel: Float[Array, "kh kw 1 c_out"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: ConvPadding = "SAME",
    dilation: Pair = 1,
) -> Float[Array, "*batch h_out w_out c_out"]:
    """`c_out / c_in` kernels for each channel, which sees no other: `conv2d` with as many groups as channels.

    Output `m k + j` is kernel `j` of channel `k`, where `m = c_out / c_in` is the multiplier. Equals
    `torch.nn.functional.conv2d(groups=c_in)` after moving channels. Raises `ValueError` as `conv2d` does.
    """
    return conv2d(x, kernel, bias, stride=stride, padding=padding, dilation=dilation, groups=x.shape[-1])


@typed
def pointwise_conv2d(
    x: Float[Array, "*batch h w c_in"],
    kernel: Float[Array, "1 1 c_in c_out"],
    bias: Float[Array, "c_out"] | None = None,
) -> Float[Array, "*batch h w c_out"]:
    """The 1 × 1 convolution, `x @ kernel[0, 0] + bias` at each pixel: `conv2d` as one matrix product.

    Lin et al. 2013, arXiv:1312.4400.
    """
    return linear(x, jnp.asarray(kernel)[0, 0], bias)


@typed
def separable_conv2d(
    x: Float[Array, "*batch h w c_in"],
    depthwise: Float[Array, "kh kw 1 c_mid"],
    pointwise: Float[Array, "1 1 c_mid c_out"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: ConvPadding = "SAME",
    dilation: Pair = 1,
) -> Float[Array, "*batch h_out w_out c_out"]:
    """`pointwise_conv2d` of `depthwise_conv2d`, with `kh kw c_mid + c_mid c_out` weights.

    It is `conv2d` with the kernel `Σ_j depthwise[:, :, 0, m k + j] pointwise[0, 0, m k + j, o]`, of
    `kh kw c_in c_out` weights, but for the rounding of what lies between to the dtype of `x`. Chollet 2017,
    arXiv:1610.02357; Howard et al. 2017, arXiv:1704.04861, with a normalization and an activation in between. Raises
    `ValueError` as `conv2d` does.
    """
    inner = depthwise_conv2d(x, depthwise, stride=stride, padding=padding, dilation=dilation)
    return pointwise_conv2d(inner, pointwise, bias)


@typed
def spatially_separable_conv2d(
    x: Float[Array, "*batch h w c_in"],
    column: Float[Array, "kh 1 c_in c_mid"],
    row: Float[Array, "1 kw c_mid c_out"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: ConvPadding = "SAME",
    dilation: Pair = 1,
) -> Float[Array, "*batch h_out w_out c_out"]:
    """A convolution down the columns and then one along the rows, with `kh + kw` weights where a window has `kh kw`.

    It is `conv2d` with the kernel `Σ_m column[i, 0, c, m] row[0, j, m, o]`, the outer product where `c_mid` is 1, but
    for the rounding of what lies between to the dtype of `x`. Szegedy et al. 2016, arXiv:1512.00567, §3.2. Raises
    `ValueError` as `conv2d` does.
    """
    window = (column.shape[0], row.shape[1])
    down, across = slide(x.shape[-3:-1], window=window, stride=stride, padding=padding, dilation=dilation)
    named = isinstance(padding, str)
    first, second = (padding, padding) if named else ((down.padding, (0, 0)), ((0, 0), across.padding))
    inner = conv2d(x, column, stride=(down.stride, 1), padding=first, dilation=(down.dilation, 1))
    return conv2d(inner, row, bias, stride=(1, across.stride), padding=second, dilation=(1, across.dilation))
