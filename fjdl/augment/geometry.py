"""Shifts, mirror images and quarter turns of one image `[h, w, c]` of any dtype."""

from functools import partial

import jax
import jax.numpy as jnp

from fjdl.augment.cropping import crop, pad
from fjdl.checks import known, within
from fjdl.meshes import switch
from fjdl.typing import Array, Bool, Int, Integer, PRNGKey, Shaped, typed


@typed
def shift(image: Shaped[Array, "h w c"], offset: Int[Array, "2"], *, most: int) -> Shaped[Array, "h w c"]:
    """The image moved down and right by `offset` pixels, each clipped to [-most, most]; zeros fill what opens.

    Equals `scipy.ndimage.shift(image, (*offset, 0), order=0)` for whole pixels. Raises `ValueError` for a negative
    `most`.

    >>> shift(jnp.arange(4.0).reshape(2, 2, 1) / 4, jnp.array([0, 1]), most=1)[..., 0]
    Array([[0. , 0. ],
           [0. , 0.5]], dtype=float32)
    """
    within("[0, inf]", most=most)
    return crop(pad(image, padding=most), most - jnp.clip(offset, -most, most), size=(image.shape[0], image.shape[1]))


@typed
def random_shift(key: PRNGKey, image: Shaped[Array, "h w c"], *, most: int) -> Shaped[Array, "h w c"]:
    """`shift` by whole pixels, uniform on [-most, most] for each axis."""
    within("[0, inf]", most=most)
    return shift(image, jax.random.randint(key, (2,), -most, most + 1), most=most)


@typed
def mirror(image: Shaped[Array, "h w c"], flip: Bool[Array, ""]) -> Shaped[Array, "h w c"]:
    """The image with left and right exchanged where `flip` holds; equals `numpy.fliplr`.

    >>> mirror(jnp.arange(4.0).reshape(2, 2, 1) / 4, jnp.array(True))[..., 0]
    Array([[0.25, 0.  ],
           [0.75, 0.5 ]], dtype=float32)
    """
    return jnp.where(flip, image[:, ::-1], image)


@typed
def random_mirror(key: PRNGKey, image: Shaped[Array, "h w c"], *, probability: float = 0.5) -> Shaped[Array, "h w c"]:
    """`mirror` with the given probability; raises `ValueError` where it is outside [0, 1]."""
    return mirror(image, coin(key, probability=probability))


@typed
def flip_vertical(image: Shaped[Array, "h w c"], flip: Bool[Array, ""]) -> Shaped[Array, "h w c"]:
    """The image with top and bottom exchanged where `flip` holds; equals `numpy.flipud`.

    >>> flip_vertical(jnp.arange(4.0).reshape(2, 2, 1) / 4, jnp.array(True))[..., 0]
    Array([[0.5 , 0.75],
           [0.  , 0.25]], dtype=float32)
    """
    return jnp.where(flip, image[::-1], image)


@typed
def random_flip_vertical(
    key: PRNGKey, image: Shaped[Array, "h w c"], *, probability: float = 0.5
) -> Shaped[Array, "h w c"]:
    """`flip_vertical` with the given probability; raises `ValueError` where it is outside [0, 1]."""
    return flip_vertical(image, coin(key, probability=probability))


@typed
def rot90(image: Shaped[Array, "h w c"], quarters: Integer[Array, ""] | int) -> Shaped[Array, "_ _ c"]:
    """The image turned counter-clockwise by so many quarters of a turn, exactly; equals `numpy.rot90`.

    An odd number exchanges height and width, so a traced one needs a square image: raises `ValueError` otherwise.

    >>> rot90(jnp.arange(4.0).reshape(2, 2, 1) / 4, 1)[..., 0]
    Array([[0.25, 0.75],
           [0.  , 0.5 ]], dtype=float32)
    """
    number = known(quarters)
    if number is not None:
        return jnp.rot90(image, int(number) % 4)
    if image.shape[0] != image.shape[1]:
        raise ValueError(f"the image must be square where quarters is traced, got shape {image.shape}")
    turns = [partial(jnp.rot90, k=k) for k in range(4)]
    return switch(jnp.asarray(quarters) % 4, turns, jnp.asarray(image))


@typed
def random_rot90(key: PRNGKey, image: Shaped[Array, "h w c"]) -> Shaped[Array, "h w c"]:
    """`rot90` by 0 to 3 quarters with equal chances; an image that is not square, whose shape stays, by 0 or 2."""
    if image.shape[0] == image.shape[1]:
        return rot90(image, jax.random.randint(key, (), 0, 4))
    return jnp.where(coin(key, probability=0.5), image[::-1, ::-1], image)


@typed
def alternating_flip(
    key: PRNGKey, image: Shaped[Array, "h w c"], epoch: Integer[Array, ""] | int, index: Integer[Array, ""] | int
) -> Shaped[Array, "h w c"]:
    """`mirror` in every other epoch; whether it is the even or the odd ones is drawn once from the image's `index`.

    With the same key in all epochs each image is seen in both forms in any two epochs in a row, where independent
    draws repeat half of them (Jordan 2024, arXiv:2404.00498).
    """
    return mirror(image, coin(jax.random.fold_in(key, index), probability=0.5) ^ (jnp.asarray(epoch) % 2 == 1))


@typed
def coin(key: PRNGKey, *, probability: float) -> Bool[Array, ""]:
    """True with the given probability; raises `ValueError` where it is outside [0, 1]."""
    within("[0, 1]", probability=probability)
    return jax.random.bernoulli(key, probability)
