"""Unpooling: larger images from pooled ones."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import within
from fjdl.functional.pool.maximum import maxima, maxima_and_winners
from fjdl.functional.pool.windows import windows_of
from fjdl.geometry import Padding, Pair, pair
from fjdl.numerics import widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Float, Int, Integer, typed


@typed
def max_pool2d_with_indices(
    x: Float[Array, "*batch h w c"],
    *,
    window: Pair,
    stride: Pair | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
) -> tuple[Float[Array, "*batch h_out w_out c"], Int[Array, "*batch h_out w_out c"]]:
    """`max_pool2d` and the place of each maximum, row · w + column in its channel of the image without padding.

    Of equal entries, and of several NaNs, the first in row order is named. Equals
    `torch.nn.functional.max_pool2d(return_indices=True)`, which names the last of several NaNs.
    """
    axes = windows_of(x.shape, spatial=2, window=window, stride=stride, padding=padding, ceil_mode=ceil_mode)
    winners = maxima_and_winners(lax.stop_gradient(jnp.asarray(x)), axes)[1].astype(jnp.int32)
    places = jnp.zeros_like(winners)
    for axis, entry in zip(axes, jnp.divmod(winners, axes[1].window), strict=True):
        first = lax.broadcasted_iota(jnp.int32, winners.shape, x.ndim + axis.position) * axis.stride - axis.padding[0]
        places = places * axis.size + first + entry
    return maxima(jnp.asarray(x), axes), places


@typed
def max_unpool2d(
    x: Float[Array, "*batch h w c"], indices: Integer[Array, "*batch h w c"], *, size: tuple[int, int]
) -> Float[Array, "*batch h_out w_out c"]:
    """Zeros of `size` = (height, width) with each entry of `x` at its place, row · width + column of its channel.

    The places are those of `max_pool2d_with_indices` (Zeiler et al. 2011, Badrinarayanan et al. 2015).
    Where windows overlap and name a place twice, it holds one of their entries, which alone has a gradient; entries
    with a place outside of the image are dropped. Equals `torch.nn.functional.max_unpool2d` on places inside.
    Raises `ValueError` for a size that is not positive.
    """
    within("(0, inf]", size=size)
    *batch, h, w, c = x.shape
    area = size[0] * size[1]
    images = math.prod(batch)
    places = jnp.where((indices < 0) | (indices >= area), area, indices).reshape(images, h * w, c)
    entries = jnp.reshape(x, places.shape)
    filled = by_platform(entries, places, cpu=partial(_filled, area), elsewhere=jax.vmap(partial(_filled_image, area)))
    return filled.reshape(*batch, *size, c)


def _filled(area: int, entries: Array, places: Array) -> Array:
    images, _, c = entries.shape
    image, channel = jnp.arange(images)[:, None, None], jnp.arange(c)[None, None]
    return jnp.zeros((images, area, c), entries.dtype).at[image, places, channel].set(entries, mode="drop")


def _filled_image(area: int, entries: Array, places: Array) -> Array:
    """Of one image: mapped over them, which tells XLA that it need not gather those of other devices."""
    channel = jnp.arange(entries.shape[1])[None]
    empty = jnp.zeros((area, entries.shape[1]), entries.dtype)
    return empty.at[places, channel].set(entries, mode="drop")


@typed
def nearest_unpool2d(x: Float[Array, "*batch h w c"], *, window: Pair) -> Float[Array, "*batch h_out w_out c"]:
    """Each entry repeated over its window, so that `average_pool2d` and `max_pool2d` of the result give `x` back.

    Equals `torch.nn.functional.interpolate(mode="nearest")` by whole factors. Raises `ValueError` for a window below 1.

    >>> nearest_unpool2d(jnp.array([[[1.0], [2.0]]]), window=2)[..., 0]
    Array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]], dtype=float32)
    """
    rows, columns = pair("window", window)
    *batch, h, w, c = x.shape
    spread = jnp.broadcast_to(jnp.expand_dims(x, (-4, -2)), (*batch, h, rows, w, columns, c))
    return spread.reshape(*batch, h * rows, w * columns, c)


@typed
def average_unpool2d(x: Float[Array, "*batch h w c"], *, window: Pair) -> Float[Array, "*batch h_out w_out c"]:
    """Each entry spread evenly over its window, `x / (rows · columns)`, so that sums over windows give `x` back.

    This is the gradient of `average_pool2d` with a cotangent of `x`. Raises `ValueError` for a window below 1.

    >>> average_unpool2d(jnp.array([[[4.0], [8.0]]]), window=2)[..., 0]
    Array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]], dtype=float32)
    """
    rows, columns = pair("window", window)
    share = (widened(x) * (1.0 / (rows * columns))).astype(x.dtype)
    return nearest_unpool2d(share, window=window)
