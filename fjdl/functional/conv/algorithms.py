"""Convolution by other routes than `conv2d`: one product with a matrix of windows, and products of spectra."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from fjdl.functional.conv.padding import continued
from fjdl.functional.conv.unfold import im2col
from fjdl.functional.linear import linear
from fjdl.geometry import Axis, ConvPadding, Pair, check_groups, slide
from fjdl.lowering.bias import add_bias
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed


@typed
def conv2d_im2col(
    x: Float[Array, "*batch h w c_in"],
    kernel: Float[Array, "kh kw c_group c_out"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: ConvPadding = "SAME",
    dilation: Pair = 1,
    groups: int = 1,
) -> Float[Array, "*batch h_out w_out c_out"]:
    """`conv2d` as one matrix product: `im2col(x) @ kernel.reshape(-1, c_out) + bias`.

    It holds `kh kw` copies of the image. Groups are as many products. Chellapilla et al. 2006.
    """
    check_groups(kernel.shape, channels=x.shape[-1], groups=groups)
    kh, kw, within, outputs = kernel.shape
    x, zeros = continued(x, padding, window=(kh, kw), dilation=dilation)
    down, across = slide(x.shape[-3:-1], window=(kh, kw), stride=stride, padding=zeros, dilation=dilation)
    columns = im2col(x, window=(kh, kw), stride=stride, padding=(down.padding, across.padding), dilation=dilation)
    columns = columns.reshape(*columns.shape[:-1], kh * kw, groups, within)
    columns = jnp.moveaxis(columns, -2, 0).reshape(groups, *columns.shape[:-3], kh * kw * within)
    matrices = jnp.moveaxis(jnp.asarray(kernel).reshape(kh * kw * within, groups, outputs // groups), 1, 0)
    y = jnp.moveaxis(jax.vmap(linear)(columns, matrices), 0, -2)
    return add_bias(y.reshape(*y.shape[:-2], outputs), bias)


@typed
def conv2d_fft(
    x: Float[Array, "*batch h w c_in"],
    kernel: Float[Array, "kh kw c_group c_out"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: ConvPadding = "SAME",
    dilation: Pair = 1,
    groups: int = 1,
) -> Float[Array, "*batch h_out w_out c_out"]:
    """`conv2d` as a product of spectra: `F⁻¹(Σ_c F(x) · conj F(kernel))` of zero-padded image and kernel.

    The conjugate flips the kernel, which turns the convolution of the theorem into cross-correlation; the padding keeps
    what wraps around out of the output. Its cost does not depend on the window. Rounding errors, in float32, are
    relative to the largest output rather than to each, and one NaN or infinite pixel spoils its whole image. Strides
    drop outputs that have been computed.
    """
    check_groups(kernel.shape, channels=x.shape[-1], groups=groups)
    x, zeros = continued(x, padding, window=kernel.shape[:2], dilation=dilation)
    down, across = slide(x.shape[-3:-1], window=kernel.shape[:2], stride=stride, padding=zeros, dilation=dilation)
    images = jnp.pad(widened(x), [*[(0, 0)] * (x.ndim - 3), down.padding, across.padding, (0, 0)])
    size = images.shape[-3:-1]
    a = jnp.fft.rfft2(images, axes=(-3, -2))
    b = jnp.conj(jnp.fft.rfft2(_dilated(kernel, x.dtype, down, across), s=size, axes=(0, 1)))
    within, outputs = kernel.shape[2:]
    a, b = a.reshape(*a.shape[:-1], groups, within), b.reshape(*b.shape[:-1], groups, outputs // groups)
    product = jnp.einsum("...hwgc,hwcgo->...hwgo", a, b, precision=lax.Precision.HIGHEST)
    y = jnp.fft.irfft2(product.reshape(*product.shape[:-2], outputs), s=size, axes=(-3, -2))
    y = y[..., : y.shape[-3] - down.reach : down.stride, : y.shape[-2] - across.reach : across.stride, :]
    return add_bias(y.astype(x.dtype), bias)


def _dilated(kernel: Array, dtype: DTypeLike, down: Axis, across: Axis) -> Array:
    weights = widened(jnp.asarray(kernel).astype(dtype))
    spaces = [(0, 0, down.dilation - 1), (0, 0, across.dilation - 1), (0, 0, 0), (0, 0, 0)]
    return lax.pad(weights, weights.dtype.type(0), spaces)
