"""Curves of tone and sharpness of one image: float in [0, 1] or uint8, in the dtype of the input."""

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.augment.color import blend
from fjdl.augment.pixels import Amount, Image, amount, ascending, from_levels, levels, saturate, white
from fjdl.checks import within
from fjdl.numerics import safe_divide, widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Float, Integer, PRNGKey, UInt8, typed

_LEVELS = np.arange(256, dtype=np.uint8)


@typed
def invert(image: Image) -> Image:
    """`white - image`; equals `PIL.ImageOps.invert`.

    >>> invert(jnp.array([0.0, 0.5, 1.0]).reshape(1, 1, 3)).ravel()
    Array([1. , 0.5, 0. ], dtype=float32)
    """
    return jnp.array(white(image), image.dtype) - image


@typed
def solarize(image: Image, threshold: Amount) -> Image:
    """`white - image` where the image is at or above `threshold`, which has the scale of the image.

    A threshold above white changes nothing. Equals `PIL.ImageOps.solarize`.

    >>> solarize(jnp.array([0.0, 0.5, 1.0]).reshape(1, 1, 3), jnp.array(0.5)).ravel()
    Array([0. , 0.5, 0. ], dtype=float32)
    """
    return jnp.where(widened(image) < amount(threshold, image), image, invert(image))


@typed
def posterize(image: Image, bits: Integer[Array, ""] | int) -> Image:
    """Only the `bits` leading bits of each of 256 levels, from 0, black, to 8, the image itself.

    Float images are rounded to levels before. Equals `PIL.ImageOps.posterize`. Raises `ValueError` for bits outside
    [0, 8]; traced ones are clipped.

    >>> posterize(jnp.array([[[255, 130, 3]]], jnp.uint8), 1).ravel()
    Array([128, 128,   0], dtype=uint8)
    """
    if isinstance(bits, int):
        within("[0, 8]", bits=bits)
    bits = jnp.clip(jnp.asarray(bits, jnp.int32), 0, 8)
    mask = (0xFF & (0xFF << (8 - bits))).astype(jnp.uint8)
    return jnp.where(bits == 8, image, from_levels(levels(image) & mask, image))


@typed
def gamma(image: Image, exponent: Amount) -> Image:
    """`white · (image / white)^exponent`, clipped: below 1 brighter, above 1 darker, and 1 changes nothing.

    Rounded for uint8; 0^0 is 1. At black the gradient with respect to the image is 0, where the formula's is infinite
    for an exponent below 1. Raises `ValueError` for a negative exponent.

    >>> gamma(jnp.array([0.0, 0.5, 1.0]).reshape(1, 1, 3), jnp.array(2.0)).ravel()
    Array([0.  , 0.25, 1.  ], dtype=float32)
    """
    within("[0, inf)", exponent=exponent)
    exponent = amount(exponent, image)
    part = jnp.clip(widened(image) / white(image), 0, 1)
    positive = jnp.where(part > 0, part, 1)
    power = jnp.where(
        part > 0, positive * jnp.exp((exponent - 1) * jnp.log(positive)), (exponent == 0).astype(part.dtype)
    )
    return saturate(white(image) * power, image)


@typed
def random_gamma(key: PRNGKey, image: Image, *, exponents: tuple[float, float] = (0.7, 1.5)) -> Image:
    """`gamma` with an exponent whose logarithm is uniform; raises `ValueError` unless the two ascend above 0."""
    ascending("exponents", exponents)
    drawn = jax.random.uniform(key, (), jnp.float32)
    return gamma(image, exponents[0] * (exponents[1] / exponents[0]) ** drawn)


@typed
def autocontrast(image: Image) -> Image:
    """Each channel stretched to [black, white]: `white · (image - least) / (largest - least)`; constant ones stay.

    The fraction is dropped for uint8, which equals `PIL.ImageOps.autocontrast` up to the one level that its floating
    point loses at whole numbers.

    >>> autocontrast(jnp.array([[[0.25], [0.5], [0.75]]])).ravel()
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    values = widened(image) if image.dtype != jnp.uint8 else jnp.asarray(image, jnp.int32)
    least, largest = jnp.min(values, axis=(0, 1), keepdims=True), jnp.max(values, axis=(0, 1), keepdims=True)
    if image.dtype == jnp.uint8:
        stretched = 255 * (values - least) // jnp.maximum(largest - least, 1)
    else:
        stretched = safe_divide(values - least, largest - least)
    return jnp.where(largest > least, stretched.astype(image.dtype), image)


@typed
def equalize(image: Image) -> Image:
    """Each channel with its histogram of 256 levels made as even as a monotone curve can, in integer arithmetic.

    A channel whose steps would be empty stays, such as a constant one. Equals `PIL.ImageOps.equalize`.
    """
    level = levels(image)
    curve, step = jax.vmap(_equalizing_curve, in_axes=-1)(level.reshape(-1, level.shape[-1]))
    even = jax.vmap(_looked_up, in_axes=(0, -1), out_axes=-1)(curve, level)
    return jnp.where((step == 0)[None, None], image, from_levels(even, image))


@typed
def sharpness(image: Image, factor: Amount) -> Image:
    """`smooth + factor · (image - smooth)`, clipped: 0 smooths, 1 changes nothing and 2 sharpens.

    `smooth` is the mean of the 3×3 neighbourhood where the centre counts five times; the border stays. Equals
    `PIL.ImageEnhance.Sharpness`. Raises `ValueError` for a negative factor.
    """
    return blend(_smooth(image), image, factor)


def _equalizing_curve(level: UInt8[Array, " n"]) -> tuple[UInt8[Array, "256"], Integer[Array, ""]]:
    histogram = by_platform(level, cpu=_counts_by_scatter, elsewhere=_counts_by_comparison)
    below = jnp.cumsum(histogram) - histogram
    step = jnp.sum(level < jnp.max(level, initial=0), dtype=jnp.int32) // 255
    curve = (step // 2 + below) // jnp.maximum(step, 1)
    return jnp.minimum(curve, 255).astype(jnp.uint8), step


def _looked_up(curve: UInt8[Array, "256"], level: UInt8[Array, "h w"]) -> UInt8[Array, "h w"]:
    """The entry of the curve at each level; other platforms select it, since a gather for each image is slow there."""
    return by_platform(curve, level, cpu=_by_gather, elsewhere=_by_comparison)


def _by_gather(curve: Array, level: Array) -> Array:
    return curve[jnp.asarray(level, jnp.int32)]


def _by_comparison(curve: Array, level: Array) -> Array:
    entries = jnp.where(level[..., None] == _LEVELS[None, None], curve[None, None], 0)
    return jnp.sum(entries, axis=-1, dtype=jnp.int32).astype(jnp.uint8)


def _counts_by_scatter(level: Array) -> Array:
    return jnp.zeros(256, jnp.int32).at[jnp.asarray(level, jnp.int32)].add(1)


def _counts_by_comparison(level: Array) -> Array:
    return jnp.sum(level[:, None] == _LEVELS[None], axis=0, dtype=jnp.int32)


def _smooth(image: Image) -> Float[Array, "h w c"]:
    values = widened(image)
    h, w, _ = values.shape
    if min(h, w) < 3:
        return values
    rows = values[:-2] + values[1:-1] + values[2:]
    inner = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * values[1:-1, 1:-1]) / 13
    if image.dtype == jnp.uint8:
        inner = jnp.floor(inner + 0.5)
    y, x = jnp.arange(h)[:, None, None], jnp.arange(w)[None, :, None]
    border = (y == 0) | (y == h - 1) | (x == 0) | (x == w - 1)
    return jnp.where(border, values, jnp.pad(inner, ((1, 1), (1, 1), (0, 0))))
