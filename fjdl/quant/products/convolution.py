"""Convolution of quantized images and kernels."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from fjdl import functional
from fjdl.functional.conv.padding import OWN_PIXELS, continued
from fjdl.fused import fused
from fjdl.geometry import Axis, ConvPadding, Pair, check_groups
from fjdl.lowering.conv_everywhere import Options, axes_of, options_of
from fjdl.lowering.cpu.chunks import mapped_together
from fjdl.lowering.int8.conv import conv
from fjdl.measured import measured
from fjdl.numerics import wide
from fjdl.platforms import by_platform
from fjdl.quant.forms import decoded, dequantize, integers
from fjdl.quant.grid import Grid
from fjdl.quant.products.dense import kernel_sums
from fjdl.quant.products.result import Activation, finished, holds_integers, in_numbers, on_grid
from fjdl.quant.quantized import Quantized
from fjdl.typing import Array, Float, Int, typed

# Outputs beyond which a CPU takes a few images at a time, and those of these images.
MANY = measured({"0.10.2": 2**21, "0.12.0": 2**21})
CHUNK = measured({"0.10.2": 2**17, "0.12.0": 2**17})


@typed
@fused
def conv2d(
    x: Float[Array, "*batch h w c_in"] | Quantized,
    kernel: Quantized,
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: ConvPadding = "SAME",
    dilation: Pair = 1,
    groups: int = 1,
    sums: Int[Array, "kh kw c_out"] | None = None,
    activation: Activation | None = None,
    onto: Grid | None = None,
    dtype: DTypeLike | None = None,
) -> Float[Array, "*batch h_out w_out c_out"] | Quantized:
    """`fjdl.functional.conv2d` for a quantized kernel [kh, kw, c_in / groups, c_out], and `activation(y + bias)`.

    Of integers in `x`, with one scale for all or one for each image, and a kernel with one for all or for each output
    channel, the products are of int8 in int32, exactly, and `activation` is of single entries or of the channels of a
    pixel. Pixels of padding stand for 0 whatever the zero point. `sums` are the `kernel_sums`, for those who have them
    ready: zero points of `x` need them.

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
    x, padding = _continued(x, padding, window=kernel.shape[:2], dilation=dilation)
    *batch, h, w, c_in = x.shape
    images = (math.prod(batch), h, w, c_in)
    if isinstance(x, Quantized) and holds_integers(x) and holds_integers(kernel) and _per_channel(kernel):
        kh, kw = kernel.shape[:2]
        options = options_of((h, w), window=(kh, kw), stride=stride, padding=padding, dilation=dilation, groups=groups)
        kind = jnp.dtype(jnp.float32 if dtype is None else dtype)
        finish = partial(in_numbers, activation=activation, dtype=kind)
        grid = _of_all_images(onto, rank=x.ndim)
        y = _of_integers(_of_images(x, images), kernel, bias, grid, sums=sums, options=options, finish=finish)
        return on_grid(y.reshape(*batch, *y.shape[1:]), onto)
    floats = dequantize(x) if isinstance(x, Quantized) else jnp.asarray(x)
    after = _per_channel(kernel) and kernel.zero_point is None
    weights = decoded(kernel, dtype=floats.dtype) if after else dequantize(kernel)
    y = functional.conv2d(
        floats.reshape(images), weights, stride=stride, padding=padding, dilation=dilation, groups=groups
    ).astype(wide(floats.dtype))
    y = y * kernel.scale.astype(y.dtype).reshape(1, 1, 1, -1) if after else y
    y = y.reshape(*batch, *y.shape[1:])
    return finished(y, bias, activation=activation, onto=onto, dtype=floats.dtype if dtype is None else dtype)


def _continued(
    x: Array | Quantized, padding: Any, *, window: tuple[int, ...], dilation: Pair
) -> tuple[Array | Quantized, Any]:
    """The image with the pixels of its own that a padding by name adds, and the padding that is left to do."""
    if padding not in OWN_PIXELS:
        return x, padding
    if not isinstance(x, Quantized) or not holds_integers(x):
        return continued(dequantize(x) if isinstance(x, Quantized) else x, padding, window=window, dilation=dilation)
    values, left = continued(integers(x), padding, window=window, dilation=dilation)
    return replace(x, values=values, columns=None), left


def _per_channel(kernel: Quantized) -> bool:
    return all(n == 1 for n in kernel.scale.shape[:-1])


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


def _of_all_images(onto: Grid | None, *, rank: int) -> Grid | None:
    """The grid beside [n, h, w, c]; refuses one with scales for images."""
    if onto is None or onto.scale.ndim == 0:
        return onto
    if len(onto.scale.shape) != rank or any(n != 1 for n in onto.scale.shape[:-3]):
        got = f"{list(onto.scale.shape)}"
        raise ValueError(f"the scale of onto must be one for all, or one for each output channel, got shape {got}")
    zero = None if onto.zero_point is None else onto.zero_point.reshape(1, *onto.scale.shape[-3:])
    return Grid(onto.scale.reshape(1, *onto.scale.shape[-3:]), zero, onto.bits)


def _of_integers(
    x: Quantized,
    kernel: Quantized,
    bias: Array | None,
    onto: Grid | None,
    *,
    sums: Array | None,
    options: Options,
    finish: Callable[..., Array],
) -> Array:
    """What `finish` makes of the exact sums, zero points taken off, times both scales.

    A CPU does so for a few images at a time, whose sums of 32 bits stay in its cache.
    """
    weights = integers(kernel)
    seen = None if x.zero_point is None else _seen(kernel_sums(kernel) if sums is None else sums, options)
    images = (x.values, x.scale) if x.zero_point is None else (x.values, x.scale, x.zero_point)
    layer = (weights, kernel.scale, kernel.zero_point, seen, bias, onto)

    def whole(images: tuple[Array, ...], layer: Any) -> Array:
        *factors, bias, onto = layer
        return finish(_real(images, *factors, options=options), bias, onto=onto)

    def in_chunks(images: tuple[Array, ...], layer: Any) -> Array:
        values, *scales = images
        outputs = math.prod(axis.output for axis in axes_of(options)) * weights.shape[3]
        known = all(isinstance(size, int) for size in (values.shape[0], outputs))  # `jax.export` may leave one open
        if not known or values.shape[0] * outputs <= MANY:
            return whole(images, layer)
        most = max(1, CHUNK // max(outputs, 1))
        if scales[0].shape[0] == 1:
            return mapped_together(lambda some: whole((some, *scales), layer), [values], most=most)
        return mapped_together(lambda *some: whole(some, layer), [values, *scales], most=most)

    return by_platform(images, layer, elsewhere=whole, cpu=in_chunks)


def _real(
    images: tuple[Array, ...],
    weights: Array,
    scale: Array,
    zero_point: Array | None,
    seen: Array | None,
    *,
    options: Options,
) -> Array:
    """The convolution in float32; `seen` is that of ones."""
    values, scale_of_images, *zeros = images
    total = conv(values, weights, options=options)
    if seen is not None:
        total = total - zeros[0].astype(jnp.int32) * seen
    real = total.astype(jnp.float32)
    if zero_point is not None:
        met = _window_sums(values, options).astype(jnp.float32)
        if zeros:
            ones = jnp.full((*options.window, 1), weights.shape[2], jnp.int32)
            met = met - zeros[0] * _seen(ones, options).astype(jnp.float32)
        each = jnp.repeat(met, weights.shape[3] // options.groups, axis=3)
        real = real - each * zero_point.reshape(1, 1, 1, -1)
    return real * (scale_of_images * scale.reshape(1, 1, 1, -1))


def _seen(sums: Array, options: Options) -> Array:
    """The convolution of ones, [1, h_out, w_out, c_out] or [1, 1, 1, c_out], of a kernel whose taps have these sums.

    No image is read: at each position the taps count that lie inside, and without padding all do.
    """
    if not any(size for pair in options.padding for size in pair):
        return jnp.sum(sums, axis=(0, 1)).reshape(1, 1, 1, -1)
    rows, columns = map(_inside, axes_of(options))
    return jnp.einsum("hk,klc,wl->hwc", rows, sums, columns)[None]


def _inside(axis: Axis) -> Array:
    """1 where a tap at a position lies inside of the image, [positions, taps]."""
    first = axis.stride * jnp.arange(axis.output) - axis.padding[0]
    places = first[:, None] + axis.dilation * jnp.arange(axis.window)[None]
    return ((places >= 0) & (places < axis.size)).astype(jnp.int32)


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
