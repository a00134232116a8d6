"""Locally connected layers: convolutions that share no weights."""

import math

import jax
import jax.numpy as jnp

from fjdl.functional.conv.padding import continued
from fjdl.functional.conv.unfold import im2col
from fjdl.functional.linear import linear
from fjdl.geometry import ConvPadding, Pair, slide
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed


@typed
def locally_connected2d(
    x: Float[Array, "*batch h w c_in"],
    kernel: Float[Array, "h_out w_out kh kw c_in c_out"],
    bias: Float[Array, "h_out w_out c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: ConvPadding = "VALID",
    dilation: Pair = 1,
) -> Float[Array, "*batch h_out w_out c_out"]:
    """`conv2d` with kernels and biases of their own at each position of the window.

    In the dtype of `x`, accumulated in float32. With the same kernel everywhere it is `conv2d`. Taigman et al. 2014
    (DeepFace). Raises `ValueError` for an empty kernel, for one with another number of positions than the window has,
    and as `im2col` does.
    """
    rows, across, kh, kw, _, outputs = kernel.shape
    if 0 in kernel.shape:
        raise ValueError(f"kernel must have no empty axis, got shape {kernel.shape}")
    x, zeros = continued(x, padding, window=(kh, kw), dilation=dilation)
    axes = slide(x.shape[-3:-1], window=(kh, kw), stride=stride, padding=zeros, dilation=dilation)
    columns = im2col(x, window=(kh, kw), stride=stride, padding=(axes[0].padding, axes[1].padding), dilation=dilation)
    *batch, high, broad, taps = columns.shape
    if (rows, across) != (high, broad):
        raise ValueError(f"kernel must hold {high} x {broad} positions of the window, got {rows} x {across}")
    places = jnp.moveaxis(columns.reshape(math.prod(batch), rows * across, taps), 1, 0)
    y = jax.vmap(linear)(places, jnp.asarray(kernel).reshape(rows * across, taps, outputs))
    y = jnp.moveaxis(y, 0, 1).reshape(*batch, rows, across, outputs)
    if bias is None:
        return y
    shift = widened(bias).reshape((1,) * len(batch) + bias.shape)
    return (widened(y) + shift).astype(x.dtype)
