"""Convolution of quantized images and kernels."""

import math

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from fjdl import functional
from fjdl.geometry import Padding, Pair, check_groups, slide
from fjdl.lowering.conv_everywhere import Options
from fjdl.lowering.int8.conv import conv
from fjdl.quant.forms import decoded, dequantize, integers
from fjdl.quant.grid import Grid
from fjdl.quant.products.result import Activation, finished, holds_integers
from fjdl.quant.quantized import Quantized
from fjdl.typing import Array, Float, typed


@typed
def conv2d(
    x: Float[Array, "*batch h w c_in"] | Quantized,
    kernel: Quantized,
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = "SAME",
    dilation: Pair = 1,
    groups: int = 1,
    activation: Activation | None = None,
    onto: Grid | None = None,
    dtype: DTypeLike | None = None,
) -> Float[Array, "*batch h_out w_out c_out"] | Quantized:
    """`fjdl.functional.conv2d` for a quantized kernel [kh, kw, c_in / groups, c_out], and `activation(y + bias)`.

    Of integers in `x`, with one scale for all or one for each image, and a kernel with one for all or for each output
    channel, the products are of int8 in int32, exactly; the pixels of padding stand for 0 whatever the zero point.
    Other kernels and images become floats inside of the program, and the scale of output channels comes after the
    sums. `onto` and `dtype` are as in `linear`. Raises `ValueError` as `fjdl.functional.conv2d` does, and for an `x`
    with a scale for parts of an image.

    >>> from fjdl.quant import absmax_quantize
    >>> kernel = absmax_quantize(jnp.full((1, 1, 1, 1), 127.0))
    >>> conv2d(jnp.ones((1, 2, 1)), kernel)
    Array([[[127.],
            [127.]]], dtype=float32)
    """
    check_groups(kernel.shape, channels=x.shape[-1], groups=groups)
    *batch, h, w, c_in = x.shape
    images = (math.prod(batch), h, w, c_in)
    per_channel = all(n == 1 for n in kernel.scale.shape[:-1])
    if isinstance(x, Quantized) and holds_integers(x) and holds_integers(kernel) and per_channel:
        window = kernel.shape[:2]
        rows, columns = slide((h, w), window=window, stride=stride, padding=padding, dilation=dilation)
        options = Options(
            (h, w),
            (rows.window, columns.window),
            (rows.stride, columns.stride),
            (rows.padding, columns.padding),
            (rows.dilation, columns.dilation),
            groups,
        )
        y, natural = _of_integers(_of_images(x, images), kernel, options), jnp.dtype(jnp.float32)
    else:
        floats = dequantize(x) if isinstance(x, Quantized) else jnp.asarray(x)
        after = per_channel and kernel.zero_point is None
        weights = decoded(kernel, dtype=floats.dtype) if after else dequantize(kernel)
        y = functional.conv2d(
            floats.reshape(images), weights, stride=stride, padding=padding, dilation=dilation, groups=groups
        ).astype(jnp.float32)
        y, natural = (y * kernel.scale.reshape(1, 1, 1, -1) if after else y), floats.dtype
    y = y.reshape(*batch, *y.shape[1:])
    return finished(y, bias, activation=activation, onto=onto, dtype=natural if dtype is None else dtype)


def _of_images(x: Quantized, shape: tuple[int, ...]) -> Quantized:
    """[n, h, w, c] in whole bytes, with scales [n or 1, 1, 1, 1]."""

    def flat(part: Array) -> Array:
        sizes = part.shape
        if any(n != 1 for n in sizes[-3:]) or any(n not in (1, size) for n, size in zip(sizes, x.shape, strict=True)):
            raise ValueError(f"x must have one scale for all or for each image, got {list(sizes)} for {list(x.shape)}")
        if all(n == 1 for n in sizes):
            return part.reshape(1, 1, 1, 1)
        return jnp.broadcast_to(part, (*x.shape[:-3], 1, 1, 1)).reshape(-1, 1, 1, 1)

    zero = None if x.zero_point is None else flat(x.zero_point)
    return Quantized(integers(x).reshape(shape), flat(x.scale), zero, x.bits)


def _of_integers(x: Quantized, kernel: Quantized, options: Options) -> Array:
    """Exact sums, the zero points taken off, times both scales."""
    images, weights = jnp.asarray(x.values), integers(kernel)
    total = conv(images, weights, options=options)
    inside = jnp.ones((1, *images.shape[1:]), jnp.int8)  # 0 in the padding, whose pixels stand for 0
    if x.zero_point is not None:
        total = total - x.zero_point.astype(jnp.int32) * conv(inside, weights, options=options)
    real = total.astype(jnp.float32)
    if kernel.zero_point is not None:
        sums = _window_sums(images, options).astype(jnp.float32)
        if x.zero_point is not None:
            sums = sums - x.zero_point * _window_sums(inside, options).astype(jnp.float32)
        each = jnp.repeat(sums, weights.shape[3] // options.groups, axis=3)
        real = real - each * kernel.zero_point.reshape(1, 1, 1, -1)
    return real * (x.scale * kernel.scale.reshape(1, 1, 1, -1))


def _window_sums(images: Array, options: Options) -> Array:
    """The sum of each group of channels under each position of the window, [n, h_out, w_out, groups]."""
    grouped = images.reshape(*images.shape[:3], options.groups, -1)
    sums = jnp.sum(grouped, axis=-1, dtype=jnp.int32)
    return lax.reduce_window(
        sums,
        jnp.int32(0),
        lax.add,
        (1, *options.window, 1),
        (1, *options.stride, 1),
        ((0, 0), *options.padding, (0, 0)),
        window_dilation=(1, *options.dilation, 1),
    )
