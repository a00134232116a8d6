"""Largest entries in regions of a feature map, and the places to which their gradient goes.

Bins are stretches of rows times stretches of columns, so that the largest of a bin is that of the columns among the
largest of the rows. All entries of the map are compared for each box, which fuses with the maximum: a box with 7 × 7
bins on 50 × 50 × 256 features takes a TPU about 71,000 cycles, a hundred times as many as its RoI align (libtpu
0.0.42). There the gradient is a sum over comparisons too, on a CPU it is a scatter.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fjdl.lowering.linear import linear
from fjdl.lowering.taps import divided
from fjdl.meshes import scan
from fjdl.numerics import widened
from fjdl.platforms import by_platform
from fjdl.typing import Array

_AT_ONCE = 64  # bins whose gradients are added together


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def maxima(images: Array, regions: Array, size: tuple[int, int]) -> Array:
    """`[n, k, rows, columns, c]` of `images [n, h, w, c]` and `regions [n, k, 4]` in cells; 0 of empty bins."""
    return _of_images(images, regions, size, places=False)


@maxima.defjvp
def _maxima_jvp(size: tuple[int, int], primals: Any, tangents: Any) -> tuple[Array, Array]:
    images, regions = primals
    n, h, w, c = images.shape
    places = _of_images(images, regions, size, places=True).reshape(n, -1, c)
    moved = _taken(tangents[0].reshape(n, h * w, c), places, pixels=h * w)
    return maxima(images, regions, size), moved.reshape(n, regions.shape[1], *size, c)


def stretches(low: Array, high: Array, *, bins: int, length: int) -> Array:
    """`[k, bins, length]`: which pixels lie in each bin of the stretch from the pixel at low to that at high."""
    first, last = _rounded(low), _rounded(high)
    extent = jnp.maximum(last - first + 1, 1) / bins
    number = jnp.arange(bins, dtype=low.dtype)[None]
    start = jnp.floor(number * extent[:, None]) + first[:, None]
    end = jnp.ceil((number + 1) * extent[:, None]) + first[:, None]
    pixel = jnp.arange(length, dtype=low.dtype)[None, None]
    return (pixel >= start[..., None]) & (pixel < end[..., None])


def _of_images(images: Array, regions: Array, size: tuple[int, int], *, places: bool) -> Array:
    """The largest entries of all bins or their places in the flat map, one box after the other."""
    _, h, w, _ = images.shape

    def of_image(_: None, own: tuple[Array, Array]) -> tuple[None, Array]:
        image, boxes = own
        x0, y0, x1, y1 = jnp.unstack(boxes, axis=-1)
        down, across = (
            stretches(*ends, bins=bins, length=length)
            for ends, bins, length in (((y0, y1), size[0], h), ((x0, x1), size[1], w))
        )
        numbers = widened(image)
        of_box = partial(_of_box, jnp.where(jnp.isnan(numbers), -jnp.inf, numbers), places=places)
        return None, scan(lambda _, box: (None, of_box(*box)), None, (down, across))[1]

    found = scan(of_image, None, (images, regions))[1]
    return found if places else found.astype(images.dtype)


def _of_box(numbers: Array, down: Array, across: Array, *, places: bool) -> Array:
    """Largest entries of a box `[rows, columns, c]`, or the first places that hold them, -1 where there are none."""
    h, w, _ = numbers.shape
    inside, among = down[:, :, None, None], across[None, :, :, None]
    rows = jnp.max(jnp.where(inside, numbers[None], -jnp.inf), axis=1)
    bins = jnp.max(jnp.where(among, rows[:, None], -jnp.inf), axis=2)
    full = (jnp.any(down, axis=1)[:, None] & jnp.any(across, axis=1)[None])[..., None]
    if not places:
        return jnp.where(full, bins, 0)
    row, column = (jnp.arange(n, dtype=jnp.int32) for n in (h, w))
    first = jnp.min(jnp.where(inside & (numbers[None] == rows[:, None]), row[None, :, None, None], h), axis=1)
    flat = (first * w + column[None, :, None])[:, None]
    place = jnp.min(jnp.where(among & (rows[:, None] == bins[:, :, None]), flat, h * w), axis=2)
    return jnp.where(full, place, -1)


def _gathered(x: Array, places: Array, *, pixels: int) -> Array:
    """The entries of `x [..., pixels, c]` at `places [..., m, c]`; 0 at -1."""
    del pixels
    return jnp.where(places < 0, 0, jnp.take_along_axis(x, jnp.maximum(places, 0), axis=-2))


def _returned(y: Array, places: Array, *, pixels: int) -> Array:
    """The sums of what goes back to each pixel."""
    shape = (*y.shape[:-2], pixels, y.shape[-1])
    flat = widened(y).reshape(-1, *y.shape[-2:]), places.reshape(-1, *places.shape[-2:])
    scattered, compared = partial(by_scatter, pixels=pixels), partial(by_comparisons, pixels=pixels)
    return by_platform(*flat, cpu=scattered, elsewhere=compared).reshape(shape).astype(y.dtype)


def by_scatter(y: Array, places: Array, *, pixels: int) -> Array:
    """Added entry by entry."""
    n, _, c = y.shape
    image, channel = jnp.arange(n)[:, None, None], jnp.arange(c)[None, None]
    values = jnp.where(places < 0, 0, y)
    return jnp.zeros((n, pixels, c), y.dtype).at[image, jnp.maximum(places, 0), channel].add(values)


def by_comparisons(y: Array, places: Array, *, pixels: int) -> Array:
    """Added where the place is that of the pixel, some bins at once."""
    number = jnp.arange(pixels, dtype=jnp.int32)[None, None, :, None]

    def with_bins(total: Array, own: tuple[Array, Array]) -> tuple[Array, None]:
        values, place = (x[:, :, None] for x in own)
        return total + jnp.sum(jnp.where(place == number, values, 0), axis=0), None

    start = jnp.zeros((y.shape[0], pixels, y.shape[2]), y.dtype)
    bins = tuple(divided(jnp.moveaxis(x, 1, 0), _AT_ONCE) for x in (y, places))
    return scan(with_bins, start, bins)[0]


_taken = linear("fjdl_roi_pool", forward=_gathered, backward=_returned)


def _rounded(x: Array) -> Array:
    """Whole numbers, halves away from 0."""
    return jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)
