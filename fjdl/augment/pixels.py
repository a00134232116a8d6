"""What an image is: `[h, w, c]`, float with black at 0 and white at 1, or uint8 with white at 255."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from fjdl.checks import known, one_of, within
from fjdl.numerics import wide, widened
from fjdl.typing import Array, Float, Num, Shaped, UInt8, typed

Image = Float[Array, "h w c"] | UInt8[Array, "h w c"]
Amount = float | Float[Array, ""]


def white(image: Num[Array, "..."]) -> float:
    """The value of a white pixel: 255 for uint8 and 1 for float."""
    return 255.0 if image.dtype == jnp.uint8 else 1.0


@typed
def pixels(values: Float[Array, "*shape"], like: Shaped[Array, "..."]) -> Shaped[Array, "*shape"]:
    """Float `values` in the dtype of `like`, rounded half to even and clipped to its range where that is an integer."""
    if jnp.issubdtype(like.dtype, jnp.integer):
        info = jnp.iinfo(like.dtype)
        values = jnp.clip(jnp.round(values), float(info.min), float(info.max))
    return values.astype(like.dtype)


@typed
def saturate(values: Float[Array, "*shape"], like: Num[Array, "..."]) -> Num[Array, "*shape"]:
    """`values` clipped to [black, white], in the dtype of `like`."""
    return pixels(jnp.clip(values, 0, white(like)), like)


def filled(image: Shaped[Array, "..."], **fill: Any) -> Shaped[Array, ""]:
    """The option `fill`, given by its name, in the dtype of `image`; rounded half to even for integers.

    Raises `ValueError` as `check_fill` does; a traced number is clipped.
    """
    check_fill(image, **fill)
    (value,) = fill.values()
    if image.dtype == jnp.bool_ or jnp.issubdtype(image.dtype, jnp.floating):
        return jnp.asarray(value).astype(image.dtype)
    number = known(value)
    if number is None:
        return pixels(widened(jnp.asarray(value)), image)
    return jnp.asarray(np.rint(np.asarray(number, np.float64)).astype(image.dtype))


def check_fill(image: Shaped[Array, "..."], **fill: Any) -> None:
    """Raises `ValueError` for an option that `image` cannot hold: beyond the range of integers, or NaN in them.

    A boolean image holds 0 and 1, a float image everything.
    """
    if image.dtype == jnp.bool_:
        one_of((0, 1), **{name: value for name, value in fill.items() if known(value) is not None})
    elif jnp.issubdtype(image.dtype, jnp.integer):
        info = jnp.iinfo(image.dtype)
        within(f"[{info.min}, {info.max}]", **fill)


@typed
def amount(value: Amount, image: Num[Array, "..."]) -> Float[Array, ""]:
    """A number in the dtype that the pixels of `image` are computed in."""
    return jnp.asarray(value, wide(image.dtype))


@typed
def luma(image: Image) -> Float[Array, "h w 1"]:
    """Brightness `0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601), at least float32; the value itself of one channel.

    For uint8 a whole number, rounded from 16-bit fixed point as in Pillow's `convert("L")`. Raises `ValueError` for
    other than 1 or 3 channels.
    """
    if image.shape[-1] not in (1, 3):
        raise ValueError(f"image must have 1 or 3 channels, got {image.shape[-1]}")
    if image.shape[-1] == 1:
        return widened(image)
    if image.dtype == jnp.uint8:
        red, green, blue = jnp.split(jnp.asarray(image, jnp.int32), 3, axis=-1)
        return widened((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)
    red, green, blue = jnp.split(widened(image), 3, axis=-1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


@typed
def levels(image: Image) -> UInt8[Array, "h w c"]:
    """The nearest of 256 levels of each pixel."""
    if image.dtype == jnp.uint8:
        return jnp.asarray(image)
    return jnp.round(jnp.clip(widened(image), 0, 1) * 255).astype(jnp.uint8)


@typed
def from_levels(level: UInt8[Array, "h w c"], like: Image) -> Image:
    """256 levels as an image of the dtype of `like`."""
    return level if like.dtype == jnp.uint8 else (widened(level) / 255).astype(like.dtype)


def ascending(name: str, limits: tuple[float, float], *, high: float = float("inf")) -> None:
    """Raises `ValueError` unless `0 < limits[0] <= limits[1] <= high`, both finite."""
    if not (0 < limits[0] <= limits[1] <= high and limits[1] < float("inf")):
        raise ValueError(f"{name} must ascend within (0, {high:g}], got {limits}")
