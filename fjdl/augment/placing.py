"""An image at another scale on a canvas of its own size: zoomed out with margins around it, or enlarged and cut off."""

import jax
import jax.numpy as jnp

from fjdl.augment.geometry import coin
from fjdl.augment.pixels import ascending, filled, pixels
from fjdl.augment.resize import picked
from fjdl.augment.sample import Sample, check_mask, moved_with, scaled_map, size_of
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, PRNGKey, Shaped, typed

Window = Float[Array, "4"]  # (top, left, height, width) in pixels


@typed
def place(
    image: Shaped[Array, "h w c"], window: Window, *, fill: float = 0.0, nearest: bool = False
) -> Shaped[Array, "h w c"]:
    """The whole image drawn into `window` = (top, left, height, width) of a canvas of its size, with `fill` around it.

    The window may reach beyond the canvas, which cuts it off. Bilinear, with the triangle of weights widened as far as
    the image shrinks; a pixel of the canvas is drawn where its centre lies in the window. `nearest` copies the pixel
    that holds the centre, as masks of classes need it. The canvas itself as the window keeps every bit. Raises
    `ValueError` for booleans unless `nearest`, and for a fill that the image cannot hold.
    """
    if image.dtype == jnp.bool_ and not nearest:
        raise ValueError("bilinear sampling needs numbers, got bool; nearest=True keeps it")
    (rows, tall), (columns, wide) = (_origins(window, axis, image.shape[axis]) for axis in (0, 1))
    drawn = (_lies(rows, image.shape[0])[:, None] & _lies(columns, image.shape[1])[None, :])[..., None]
    if nearest:
        low, left = (_holders(at, size) for at, size in ((rows, image.shape[0]), (columns, image.shape[1])))
        return jnp.where(drawn, picked(jnp.asarray(image), low, left), filled(image, fill=fill))
    values = widened(image)
    for axis, (at, shrinks) in enumerate(((rows, tall), (columns, wide))):
        weights = _weights(at, shrinks, image.shape[axis]).astype(values.dtype)
        mixed = jnp.tensordot(weights, values, (1, axis), precision=jax.lax.Precision.HIGHEST)
        values = jnp.moveaxis(mixed, 0, axis)
    return jnp.where(drawn, pixels(values, image), filled(image, fill=fill))


@typed
def place_sample(
    sample: Sample, window: Window, *, fill: float = 0.0, mask_fill: int = 0, smallest: float = 1.0
) -> dict[str, Array]:
    """`place` of a sample; `fill` is around the image and `mask_fill` around the mask."""
    check_mask(sample, mask_fill)
    h, w = size_of(sample)
    return moved_with(
        sample,
        scaled_map((window[2] / h, window[3] / w), (window[0], window[1])),
        image=lambda image: place(image, window, fill=fill),
        mask=lambda mask: place(mask, window, fill=mask_fill, nearest=True),
        smallest=smallest,
    )


@typed
def random_zoom(
    key: PRNGKey, image: Shaped[Array, "h w c"], *, scale: tuple[float, float] = (0.1, 2.0), fill: float = 0.0
) -> Shaped[Array, "h w c"]:
    """`place` in a `random_zoom_window`, the large scale jitter of Ghiasi et al. 2021, arXiv:2012.07177."""
    return place(image, random_zoom_window(key, size=image.shape[:2], scale=scale), fill=fill)


@typed
def random_zoom_sample(
    key: PRNGKey,
    sample: Sample,
    *,
    scale: tuple[float, float] = (0.1, 2.0),
    fill: float = 0.0,
    mask_fill: int = 0,
    smallest: float = 1.0,
) -> dict[str, Array]:
    """`place_sample` in a `random_zoom_window`."""
    window = random_zoom_window(key, size=size_of(sample), scale=scale)
    return place_sample(sample, window, fill=fill, mask_fill=mask_fill, smallest=smallest)


@typed
def random_zoom_out(
    key: PRNGKey,
    image: Shaped[Array, "h w c"],
    *,
    ratio: tuple[float, float] = (1.0, 4.0),
    probability: float = 0.5,
    fill: float = 0.0,
) -> Shaped[Array, "h w c"]:
    """The image at 1 / `ratio` of its size at a uniform place, with the given probability, as SSD makes small objects.

    The ratio is drawn uniformly between the two of `ratio` (Liu et al. 2016, arXiv:1512.02325, §3.6). Raises
    `ValueError` unless both ascend from 1 on, and for a probability outside [0, 1].
    """
    return place(image, _zoomed_out(key, image.shape[:2], ratio, probability), fill=fill)


@typed
def random_zoom_out_sample(
    key: PRNGKey,
    sample: Sample,
    *,
    ratio: tuple[float, float] = (1.0, 4.0),
    probability: float = 0.5,
    fill: float = 0.0,
    mask_fill: int = 0,
    smallest: float = 1.0,
) -> dict[str, Array]:
    """`place_sample` in the window of `random_zoom_out`."""
    window = _zoomed_out(key, size_of(sample), ratio, probability)
    return place_sample(sample, window, fill=fill, mask_fill=mask_fill, smallest=smallest)


@typed
def random_zoom_window(key: PRNGKey, *, size: tuple[int, ...], scale: tuple[float, float]) -> Window:
    """A window whose sides are those of an image of `size` by one factor, uniform between the two of `scale`.

    Its place is uniform among those where it lies in the canvas, or, where it is larger, covers the canvas. Raises
    `ValueError` unless both factors ascend above 0.
    """
    ascending("scale", scale)
    drawn = jax.random.uniform(key, (3,), jnp.float32)
    return _at(drawn[1:], scale[0] + (scale[1] - scale[0]) * drawn[0], size)


def _zoomed_out(key: PRNGKey, size: tuple[int, ...], ratio: tuple[float, float], probability: float) -> Window:
    ascending("ratio", ratio)
    if ratio[0] < 1:
        raise ValueError(f"ratio must be at least 1, got {ratio}")
    chance, rest = jax.random.split(key)
    drawn = jax.random.uniform(rest, (3,), jnp.float32)
    factor = ratio[0] + (ratio[1] - ratio[0]) * drawn[0]
    return _at(drawn[1:], jnp.where(coin(chance, probability=probability), 1 / factor, 1.0), size)


def _at(share: Float[Array, "2"], factor: Float[Array, ""], size: tuple[int, ...]) -> Window:
    extent = jnp.array(size, jnp.float32)
    sides = extent * factor
    return jnp.concatenate([share * (extent - sides), sides])


def _origins(window: Window, axis: int, size: int) -> tuple[Float[Array, " size"], Float[Array, ""]]:
    """Where in the image the centre of each pixel of the canvas comes from, and by how much the image shrinks.

    From -1, where nothing is, for a window without a side.
    """
    window = widened(window)
    some = window[axis + 2] > 0
    shrinks = size / jnp.where(some, window[axis + 2], 1)
    centres = jnp.arange(size).astype(window.dtype) + 0.5
    return jnp.where(some, (centres - window[axis]) * shrinks, -1), shrinks


def _lies(at: Float[Array, " size"], size: int) -> Bool[Array, " size"]:
    return (at >= 0) & (at < size)


def _holders(at: Float[Array, " size"], size: int) -> Array:
    return jnp.clip(jnp.floor(at), 0, size - 1).astype(jnp.int32)


def _weights(at: Float[Array, " size"], shrinks: Float[Array, ""], size: int) -> Float[Array, "size size"]:
    """How much each pixel of the image counts in each of the canvas, with sum 1."""
    places = jnp.arange(size).astype(at.dtype) + 0.5
    inside = jnp.clip(at, 0, size)
    weights = jnp.maximum(1 - jnp.abs(places[None] - inside[:, None]) / jnp.maximum(shrinks, 1), 0)
    return weights / jnp.sum(weights, axis=1, keepdims=True)
