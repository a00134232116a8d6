"""A window of one image at another size; images have any dtype and keep it."""

import jax
import jax.numpy as jnp

from fjdl.augment.pixels import pixels
from fjdl.augment.window import random_window
from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Float, Int, PRNGKey, Shaped, typed


@typed
def resized_crop(
    image: Shaped[Array, "h w c"],
    window: Int[Array, "4"],
    *,
    size: tuple[int, int],
    nearest: bool = False,
    antialias: bool = True,
) -> Shaped[Array, "_ _ c"]:
    """The pixels of `window` = (top, left, height, width) at `size` = (height, width): two products with matrices.

    Bilinear; where the image gets smaller, `antialias` widens the triangle of weights, so that every pixel counts.
    `nearest` copies the pixel that holds each new centre, as masks of classes need it. The window is clipped to the
    image, to at least one pixel. The whole image at its own size comes back bit for bit. Equals
    `torch.nn.functional.interpolate(align_corners=False, antialias=...)` of the cropped image in mode "bilinear", or
    "nearest-exact". Raises `ValueError` for a size that is not positive and for booleans unless `nearest`.
    """
    within("(0, inf]", size=size)
    if image.dtype == jnp.bool_ and not nearest:
        raise ValueError("bilinear sampling needs numbers, got bool; nearest=True keeps it")
    start, extent = inside(window, size=(image.shape[0], image.shape[1]))
    if nearest:
        rows, columns = (_nearest(start[a], extent[a], size=size[a]) for a in (0, 1))
        return picked(image, rows, columns)
    values = widened(image)
    for axis in (0, 1):
        places = jnp.arange(image.shape[axis]).astype(values.dtype) + 0.5
        weights = _triangles(places, start[axis], extent[axis], size=size[axis], antialias=antialias)
        mixed = jnp.tensordot(weights, values, (1, axis), precision=jax.lax.Precision.HIGHEST)
        values = jnp.moveaxis(mixed, 0, axis)
    return pixels(values, image)


@typed
def random_resized_crop(
    key: PRNGKey,
    image: Shaped[Array, "h w c"],
    *,
    size: tuple[int, int],
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    nearest: bool = False,
    antialias: bool = True,
) -> Shaped[Array, "_ _ c"]:
    """`resized_crop` of a window with a random part of the area and a random aspect ratio (Szegedy et al. 2015, §6).

    Where ten attempts, see `random_window`, find none inside of the image, the window is the whole image. Raises
    `ValueError` unless both ranges ascend above 0, and for an area above 1.
    """
    window, _ = random_window(key, size=(image.shape[0], image.shape[1]), area=area, ratio=ratio)
    return resized_crop(image, window, size=size, nearest=nearest, antialias=antialias)


@typed
def inside(window: Int[Array, "4"], *, size: tuple[int, int]) -> tuple[Int[Array, "2"], Int[Array, "2"]]:
    """Start and extent of the window inside an image of `size`, of at least one pixel."""
    window = jnp.asarray(window)
    limit = jnp.array(size, window.dtype)
    start = jnp.clip(window[:2], 0, limit - 1)
    return start, jnp.clip(window[:2] + window[2:], start + 1, limit) - start


def _nearest(start: Int[Array, ""], extent: Int[Array, ""], *, size: int) -> Int[Array, " size"]:
    return start + (2 * jnp.arange(size, dtype=start.dtype) + 1) * extent // (2 * size)


def picked(image: Array, rows: Array, columns: Array) -> Array:
    """The pixels of an image `[h, w, c]` in these rows and columns, `[rows, columns, c]`."""
    if not jnp.issubdtype(image.dtype, jnp.integer):
        return _gathered(image, rows, columns)
    return by_platform(image, rows, columns, cpu=_gathered, elsewhere=_selected)


def _gathered(image: Array, rows: Array, columns: Array) -> Array:
    return jnp.asarray(image)[rows[:, None], columns[None, :]]


def _selected(image: Array, rows: Array, columns: Array) -> Array:
    """Each row, then each column, as the sum of one and of zeros: a gather for each image is slow but on CPU."""
    h, w, _ = image.shape
    tall = rows[:, None] == jnp.arange(h, dtype=rows.dtype)[None]
    image = jnp.sum(jnp.where(tall[:, :, None, None], image[None], 0), axis=1, dtype=image.dtype)
    wide = columns[:, None] == jnp.arange(w, dtype=columns.dtype)[None]
    return jnp.sum(jnp.where(wide[None, :, :, None], image[:, None], 0), axis=2, dtype=image.dtype)


def _triangles(
    places: Float[Array, " old"], start: Int[Array, ""], extent: Int[Array, ""], *, size: int, antialias: bool
) -> Float[Array, "size old"]:
    """How much each old pixel counts in each new one: a triangle around its centre, cut at the window, with sum 1."""
    start, extent = start.astype(places.dtype), extent.astype(places.dtype)
    zoom = extent / size
    centres = start + (jnp.arange(size).astype(places.dtype)[:, None] + 0.5) * zoom
    reach = jnp.maximum(zoom, 1) if antialias else jnp.ones_like(zoom)
    weights = jnp.maximum(1 - jnp.abs(places[None] - centres) / reach, 0)
    weights = jnp.where((places > start) & (places < start + extent), 1, 0)[None].astype(places.dtype) * weights
    return weights / jnp.sum(weights, axis=1, keepdims=True)
