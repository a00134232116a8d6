"""Pooling over windows of NHWC images, as sums and maxima of strided slices."""

from collections.abc import Callable
from functools import reduce

import jax.numpy as jnp

from fjdl.functional.geometry import Padding, Pads, Pair, explicit_padding, output_size, pair
from fjdl.numerics import accumulate
from fjdl.typing import Array, Float, typed


@typed
def average_pool2d(
    x: Float[Array, "*batch h w c"], *, window: Pair, stride: Pair | None = None, padding: Padding = "VALID"
) -> Float[Array, "*batch h_out w_out c"]:
    """Mean of each window, in the dtype of `x`, summed in float32; `stride` is the window unless given.

    Padding counts as zeros of the window.  Equals `torch.nn.functional.avg_pool2d(count_include_pad=True)`.
    Raises `ValueError` for a window larger than the padded image, and for padding as wide as the window.
    """
    size, steps, pads = _geometry(x.shape, window, stride, padding)
    tiled = steps == size and not any(side for axis in pads for side in axis)
    total = (
        _tile_sum(accumulate(x), size) if tiled else _slide(accumulate(x), size, steps, pads, combine=jnp.add, fill=0.0)
    )
    return (total * (1.0 / (size[0] * size[1]))).astype(x.dtype)


@typed
def max_pool2d(
    x: Float[Array, "*batch h w c"], *, window: Pair, stride: Pair | None = None, padding: Padding = "VALID"
) -> Float[Array, "*batch h_out w_out c"]:
    """Largest entry of each window; `stride` is the window unless given.

    Padding never wins. Among equal entries the first in row order takes the whole gradient, and a NaN in a window is
    its result, as in `torch.nn.functional.max_pool2d`, which this equals.
    Raises `ValueError` for a window larger than the padded image, and for padding as wide as the window.
    """
    size, steps, pads = _geometry(x.shape, window, stride, padding)
    return _slide(jnp.asarray(x), size, steps, pads, combine=_first_maximum, fill=-jnp.inf)


def _tile_sum(x: Array, window: tuple[int, int]) -> Array:
    """Sums of windows side by side: columns as slices, rows as one reduction.

    XLA:CPU never computes a reduction twice, while it would repeat slices, and all that led to them, in every consumer.
    """
    *batch, h, w, c = x.shape
    rows, columns = (output_size(n, window=k, stride=k, padding=(0, 0)) for n, k in zip((h, w), window, strict=True))
    x = reduce(jnp.add, _taps(x, -2, window[1], window[1], columns))[..., : rows * window[0], :, :]
    x = x.reshape(*batch, rows, window[0], columns * c).sum(axis=-2)
    return x.reshape(*batch, rows, columns, c)


def _first_maximum(a: Array, b: Array) -> Array:
    return jnp.where((a >= b) | (a != a), a, b)


def _geometry(
    shape: tuple[int, ...], window: Pair, stride: Pair | None, padding: Padding
) -> tuple[tuple[int, int], tuple[int, int], Pads]:
    size = pair("window", window)
    steps = pair("stride", window if stride is None else stride)
    pads = explicit_padding(padding, size=(shape[-3], shape[-2]), window=size, stride=steps, dilation=(1, 1))
    if any(max(sides) >= width for sides, width in zip(pads, size, strict=True)):
        raise ValueError(f"padding must be smaller than the window, got padding {padding} and window {window}")
    return size, steps, pads


def _slide(
    x: Array,
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: Pads,
    *,
    combine: Callable[[Array, Array], Array],
    fill: float,
) -> Array:
    """Combines the entries of each window, columns first, then rows."""
    if any(side for axis in padding for side in axis):
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [*padding, (0, 0)], constant_values=fill)
    for axis in (1, 0):
        count = output_size(x.shape[axis - 3], window=window[axis], stride=stride[axis], padding=(0, 0))
        x = reduce(combine, _taps(x, axis - 3, window[axis], stride[axis], count))
    return x


def _taps(x: Array, axis: int, window: int, stride: int, count: int) -> list[Array]:
    index: list[slice] = [slice(None)] * x.ndim
    taps = []
    for first in range(window):
        index[axis] = slice(first, first + (count - 1) * stride + 1, stride)
        taps.append(x[tuple(index)])
    return taps
