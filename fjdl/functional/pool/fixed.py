"""Average and max pooling over windows of channels-last sequences, images and volumes."""

import jax.numpy as jnp

from fjdl.functional.pool.average import averages
from fjdl.functional.pool.maximum import largest, maxima
from fjdl.functional.pool.windows import windows_of
from fjdl.geometry import Padding, Padding1D, Padding3D, Pair, Single, Triple
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed


@typed
def average_pool2d(
    x: Float[Array, "*batch h w c"],
    *,
    window: Pair,
    stride: Pair | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Float[Array, "*batch h_out w_out c"]:
    """Mean of each window, in the dtype of `x`, summed in float32; `stride` is the window unless given.

    Along each axis floor((size + padding - window) / stride) + 1 windows. `ceil_mode` rounds up instead and drops a
    last window that would start in the padding after the image; what lies beyond the padding is never counted.
    Padding counts as zeros of the window, or with `count_include_pad=False` not at all.
    Equals `torch.nn.functional.avg_pool2d`.
    Raises `ValueError` for a window larger than the padded image, and for padding as wide as the window.

    >>> average_pool2d(jnp.arange(16.0).reshape(1, 4, 4, 1), window=2)[0, :, :, 0]
    Array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """
    axes = windows_of(x.shape, spatial=2, window=window, stride=stride, padding=padding, ceil_mode=ceil_mode)
    return averages(x, axes, count_include_pad=count_include_pad)


@typed
def average_pool1d(
    x: Float[Array, "*batch n c"],
    *,
    window: Single,
    stride: Single | None = None,
    padding: Padding1D = "VALID",
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Float[Array, "*batch n_out c"]:
    """Mean of each window of a sequence, as `average_pool2d`; equals `torch.nn.functional.avg_pool1d`.

    >>> average_pool1d(jnp.array([1.0, 3.0, 5.0, 9.0]).reshape(1, 4, 1), window=2).ravel()
    Array([2., 7.], dtype=float32)
    """
    axes = windows_of(x.shape, spatial=1, window=window, stride=stride, padding=padding, ceil_mode=ceil_mode)
    return averages(x, axes, count_include_pad=count_include_pad)


@typed
def average_pool3d(
    x: Float[Array, "*batch d h w c"],
    *,
    window: Triple,
    stride: Triple | None = None,
    padding: Padding3D = "VALID",
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Float[Array, "*batch d_out h_out w_out c"]:
    """Mean of each window of a volume, as `average_pool2d`; equals `torch.nn.functional.avg_pool3d`."""
    axes = windows_of(x.shape, spatial=3, window=window, stride=stride, padding=padding, ceil_mode=ceil_mode)
    return averages(x, axes, count_include_pad=count_include_pad)


@typed
def max_pool2d(
    x: Float[Array, "*batch h w c"],
    *,
    window: Pair,
    stride: Pair | None = None,
    padding: Padding = "VALID",
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Float[Array, "*batch h_out w_out c"]:
    """Largest entry of each window, floor((size + padding - dilation (window - 1) - 1) / stride) + 1 along each axis.

    `stride` is the window unless given; entries of a window lie `dilation` apart. `ceil_mode` rounds the number of
    windows up and drops a last one that would start in the padding after the image.
    Padding never wins; a dilated window with all of its entries in the padding gives -inf. Among equal entries the
    first in row order takes the whole gradient, and a NaN in a window is its result, as in
    `torch.nn.functional.max_pool2d`, which this equals. Of several NaNs the first takes the gradient, there the last,
    and on a TPU that is left open; XLA:CPU takes subnormal numbers for 0, and so for equal. An entry of several windows
    has the sum of their gradients, in float32, or on a TPU in the dtype of `x`.
    Raises `ValueError` for a window larger than the padded image, and for padding as wide as the window.

    >>> max_pool2d(jnp.arange(16.0).reshape(1, 4, 4, 1), window=2)[0, :, :, 0]
    Array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    axes = windows_of(
        x.shape, spatial=2, window=window, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    return maxima(jnp.asarray(x), axes)


@typed
def max_pool1d(
    x: Float[Array, "*batch n c"],
    *,
    window: Single,
    stride: Single | None = None,
    padding: Padding1D = "VALID",
    dilation: Single = 1,
    ceil_mode: bool = False,
) -> Float[Array, "*batch n_out c"]:
    """Largest entry of each window of a sequence, as `max_pool2d`; equals `torch.nn.functional.max_pool1d`.

    >>> max_pool1d(jnp.array([1.0, 3.0, 5.0, 9.0]).reshape(1, 4, 1), window=2).ravel()
    Array([3., 9.], dtype=float32)
    """
    axes = windows_of(
        x.shape, spatial=1, window=window, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    return maxima(jnp.asarray(x), axes)


@typed
def max_pool3d(
    x: Float[Array, "*batch d h w c"],
    *,
    window: Triple,
    stride: Triple | None = None,
    padding: Padding3D = "VALID",
    dilation: Triple = 1,
    ceil_mode: bool = False,
) -> Float[Array, "*batch d_out h_out w_out c"]:
    """Largest entry of each window of a volume, as `max_pool2d`; equals `torch.nn.functional.max_pool3d`."""
    axes = windows_of(
        x.shape, spatial=3, window=window, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    return maxima(jnp.asarray(x), axes)


@typed
def global_average_pool2d(x: Float[Array, "*batch h w c"]) -> Float[Array, "*batch c"]:
    """Mean of each channel over the image, in the dtype of `x`, summed in float32 (Lin et al. 2013, arXiv:1312.4400).

    Equals `torch.nn.functional.adaptive_avg_pool2d` to size 1. Raises `ValueError` for an image without pixels.

    >>> global_average_pool2d(jnp.arange(16.0).reshape(1, 4, 4, 1))
    Array([[7.5]], dtype=float32)
    """
    _refuse_without_pixels(x)
    return jnp.mean(widened(x), axis=(-3, -2)).astype(x.dtype)


@typed
def global_max_pool2d(x: Float[Array, "*batch h w c"]) -> Float[Array, "*batch c"]:
    """Largest entry of each channel; the first of equals in row order takes the gradient, and a NaN is the result.

    Equals `torch.nn.functional.adaptive_max_pool2d` to size 1. Raises `ValueError` for an image without pixels.

    >>> global_max_pool2d(jnp.arange(16.0).reshape(1, 4, 4, 1))
    Array([[15.]], dtype=float32)
    """
    _refuse_without_pixels(x)
    *batch, h, w, c = x.shape
    return largest(jnp.reshape(x, (*batch, h * w, c)), -2)


def _refuse_without_pixels(x: Array) -> None:
    if 0 in x.shape[-3:-1]:
        raise ValueError(f"the image must have pixels, got shape {x.shape}")
