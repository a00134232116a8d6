"""Rectangles removed from one image of any dtype."""

import jax
import jax.numpy as jnp

from fjdl.augment.pixels import Amount, Image, check_fill, pixels, white
from fjdl.augment.window import covered, random_window
from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Int, PRNGKey, typed


@typed
def erase(image: Image, window: Int[Array, "4"], value: Amount | Float[Array, "h w c"]) -> Image:
    """The image with `value` in the pixels of `window` = (top, left, height, width), of which a part may lie outside.

    `value` is one number or an image, with the scale of the image, and is rounded for uint8. Raises `ValueError` for
    one that uint8 cannot hold.

    >>> erase(jnp.ones((2, 2, 1)), jnp.array([0, 0, 1, 2]), jnp.array(0.0))[..., 0]
    Array([[0., 0.],
           [1., 1.]], dtype=float32)
    """
    check_fill(image, value=value)
    inside = covered(window, size=(image.shape[0], image.shape[1]))[..., None]
    return jnp.where(inside, pixels(widened(jnp.asarray(value)), image), image)


@typed
def random_erasing(
    key: PRNGKey,
    image: Image,
    *,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    ratio: tuple[float, float] = (0.3, 1 / 0.3),
    fill: float = 0.0,
    noise: bool = False,
) -> Image:
    """`erase` of a `random_window` with the given probability (Zhong et al. 2017, arXiv:1708.04896).

    What is erased becomes `fill`, or uniform noise from black to white for each pixel and channel, as in the paper.
    Nothing is erased where ten attempts find no window inside of the image. Raises `ValueError` for a probability
    outside [0, 1], unless both ranges ascend above 0, and for an area above 1.
    """
    within("[0, 1]", probability=probability)
    where, chance, values = jax.random.split(key, 3)
    window, found = random_window(where, size=(image.shape[0], image.shape[1]), area=area, ratio=ratio)
    check_fill(image, fill=fill)
    happens = found & jax.random.bernoulli(chance, probability)
    value = white(image) * jax.random.uniform(values, image.shape, jnp.float32) if noise else fill
    return erase(image, jnp.where(happens, window, 0), value)


@typed
def cutout(image: Image, centre: Int[Array, "2"], *, length: int, fill: float = 0.0) -> Image:
    """The image with `fill` in the square of side `length` around the pixel `centre` = (row, column).

    The square starts `length // 2` before the centre; what lies outside of the image is cut off, so less of it may go
    (DeVries & Taylor 2017, arXiv:1708.04552). Raises `ValueError` for a negative length.

    >>> cutout(jnp.ones((3, 3, 1)), jnp.array([1, 1]), length=1)[..., 0]
    Array([[1., 1., 1.],
           [1., 0., 1.],
           [1., 1., 1.]], dtype=float32)
    """
    within("[0, inf]", length=length)
    check_fill(image, fill=fill)
    centre = jnp.asarray(centre)
    return erase(image, jnp.concatenate([centre - length // 2, jnp.full(2, length, centre.dtype)]), fill)


@typed
def random_cutout(key: PRNGKey, image: Image, *, length: int, fill: float = 0.0) -> Image:
    """`cutout` around a pixel drawn uniformly from all; 16 of 32 pixels are usual for CIFAR-10 and 8 for CIFAR-100."""
    centre = jax.random.randint(key, (2,), 0, jnp.array(image.shape[:2], jnp.int32))
    return cutout(image, centre, length=length, fill=fill)
