"""Changes of colour of one image: float in [0, 1] or uint8, in the dtype of the input, clipped to [black, white]."""

import jax
import jax.numpy as jnp

from fjdl.augment.geometry import coin
from fjdl.augment.pixels import Amount, Image, amount, luma, pixels, saturate
from fjdl.checks import within
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Bool, Float, PRNGKey, typed


@typed
def blend(base: Float[Array, "#h #w #c"], image: Image, factor: Amount) -> Image:
    """`(1 - factor) · base + factor · image`, clipped: 0 gives `base`, 1 the image bit for bit, more extrapolates.

    `base` has the scale of the image. For uint8 the fraction is dropped as in Pillow's `Image.blend`, to which it is
    equal but for a value that float32 rounds onto a whole number (Haeberli & Voorhies 1994). Raises `ValueError` for
    a negative factor.
    """
    within("[0, inf]", factor=factor)
    values, factor = widened(image), amount(factor, image)
    base = base.astype(values.dtype)
    if image.dtype == jnp.uint8:
        return saturate(jnp.floor(base + factor * (values - base)), image)
    return saturate(factor * values + (1 - factor) * base, image)


@typed
def brightness(image: Image, factor: Amount) -> Image:
    """`factor · image`, clipped; equals `PIL.ImageEnhance.Brightness`.

    Raises `ValueError` for a negative factor.

    >>> brightness(jnp.array([0.0, 0.5, 1.0]).reshape(1, 1, 3), jnp.array(0.5)).ravel()
    Array([0.  , 0.25, 0.5 ], dtype=float32)
    """
    return blend(jnp.zeros((1, 1, 1)), image, factor)


@typed
def contrast(image: Image, factor: Amount) -> Image:
    """`m + factor · (image - m)`, clipped, where `m` is the mean of the luma of the image.

    For uint8 `m` is rounded half up, which equals `PIL.ImageEnhance.Contrast`; for float it is not rounded. Raises
    `ValueError` for a negative factor and for other than 1 or 3 channels.

    >>> contrast(jnp.array([[[0.0], [1.0]]]), jnp.array(0.5)).ravel()
    Array([0.25, 0.75], dtype=float32)
    """
    return blend(_mean_luma(image), image, factor)


@typed
def saturation(image: Image, factor: Amount) -> Image:
    """`luma + factor · (image - luma)`, clipped: 0 is grey; an image of one channel stays as it is.

    Equals `PIL.ImageEnhance.Color`. Raises `ValueError` for a negative factor and for other than 1 or 3 channels.
    """
    within("[0, inf]", factor=factor)
    grey = luma(image)
    return image if image.shape[-1] == 1 else blend(grey, image, factor)


@typed
def hue(image: Image, turns: Amount) -> Image:
    """The hue of HSV turned by `turns` of the colour wheel, where 1/3 makes red green; whole turns change nothing.

    Saturation and value stay; grey stays grey, and an image of one channel stays as it is. Turned in float also for
    uint8, and rounded. Equals `colorsys`. Raises `ValueError` for other than 1 or 3 channels.
    """
    if image.shape[-1] not in (1, 3):
        raise ValueError(f"image must have 1 or 3 channels, got {image.shape[-1]}")
    if image.shape[-1] == 1:
        return image
    values, turns = widened(image), amount(turns, image)
    sixths, largest, chroma = _hexagon(values)
    turned = _from_hexagon(sixths + 6 * (turns - jnp.floor(turns)), largest, chroma)
    return saturate(values + (turned - _from_hexagon(sixths, largest, chroma)), image)


@typed
def grayscale(image: Image, grey: Bool[Array, ""]) -> Image:
    """The luma of the image in each of its channels where `grey` holds.

    Equals Pillow's `convert("L")` for uint8. Raises `ValueError` for other than 1 or 3 channels.

    >>> grayscale(jnp.array([0.0, 0.5, 1.0]).reshape(1, 1, 3), jnp.array(True)).ravel()
    Array([0.4075, 0.4075, 0.4075], dtype=float32)
    """
    return jnp.where(grey, jnp.broadcast_to(pixels(luma(image), image), image.shape), image)


@typed
def random_grayscale(key: PRNGKey, image: Image, *, probability: float = 0.1) -> Image:
    """`grayscale` with the given probability; raises `ValueError` where it is outside [0, 1]."""
    return grayscale(image, coin(key, probability=probability))


@typed
def random_color_jitter(
    key: PRNGKey,
    image: Image,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> Image:
    """Brightness, contrast, saturation and hue, in this order, by amounts drawn for this image.

    The factors are uniform on `[max(0, 1 - s), 1 + s]` for each strength `s`, the turn of the hue on `[-s, s]`. What
    has strength 0 is left out. Raises `ValueError` for a negative strength and for `hue` above 1/2.
    """
    strengths = (brightness, contrast, saturation)
    within("[0, inf]", brightness=brightness, contrast=contrast, saturation=saturation)
    within("[0, 0.5]", hue=hue)
    low = jnp.array([max(0.0, 1 - s) for s in strengths] + [-hue], jnp.float32)
    high = jnp.array([1 + s for s in strengths] + [hue], jnp.float32)
    amounts = jax.random.uniform(key, (4,), jnp.float32, low, high)
    for function, strength, drawn in zip(_JITTER, (*strengths, hue), amounts, strict=True):
        image = function(image, drawn) if strength else image
    return image


_JITTER = (brightness, contrast, saturation, hue)


def _mean_luma(image: Image) -> Float[Array, "1 1 1"]:
    """Summed by channel for float: on CPU XLA sums over the innermost axis of 3 slowly."""
    if image.dtype != jnp.uint8:
        return luma(jnp.mean(widened(image), axis=(0, 1), keepdims=True))
    count = image.shape[0] * image.shape[1]
    total = jnp.sum(luma(image).astype(jnp.uint32), keepdims=True)
    return widened(total // count + (2 * (total % count) >= count).astype(jnp.uint32))


def _hexagon(values: Float[Array, "h w 3"]) -> tuple[Array, Array, Array]:
    """Hue in sixths of a turn, value and chroma of RGB."""
    red, green, blue = jnp.split(values, 3, axis=-1)
    largest = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = largest - jnp.minimum(jnp.minimum(red, green), blue)
    other = jnp.where(largest == green, 2 + safe_divide(blue - red, chroma), 4 + safe_divide(red - green, chroma))
    return jnp.where(largest == red, safe_divide(green - blue, chroma), other), largest, chroma


def _from_hexagon(sixths: Float[Array, "h w 1"], largest: Array, chroma: Array) -> Float[Array, "h w 3"]:
    place = sixths + jnp.array([5, 3, 1], sixths.dtype)[None, None]
    place = place - 6 * jnp.floor(place / 6)
    return largest - chroma * jnp.clip(jnp.minimum(place, 4 - place), 0, 1)
