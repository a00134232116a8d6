"""Noise on one image: float in [0, 1] or uint8, in the dtype of the input, clipped to [black, white]."""

import jax
import jax.numpy as jnp

from fjdl.augment.pixels import Image, saturate, white
from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, PRNGKey, typed


@typed
def add_noise(image: Image, noise: Float[Array, "#h #w #c"]) -> Image:
    """`image + white · noise`, clipped, and rounded for uint8; noise 0 changes nothing.

    >>> add_noise(jnp.array([[[0.5], [1.0]]]), jnp.array([[[0.25], [0.25]]])).ravel()
    Array([0.75, 1.  ], dtype=float32)
    """
    values = widened(image)
    return saturate(values + white(image) * noise.astype(values.dtype), image)


@typed
def random_gaussian_noise(key: PRNGKey, image: Image, *, deviation: float) -> Image:
    """`add_noise` of independent normal numbers with standard deviation `deviation`, as a part of white.

    Raises `ValueError` for a negative deviation.
    """
    within("[0, inf]", deviation=deviation)
    return add_noise(image, deviation * jax.random.normal(key, image.shape, jnp.float32))


@typed
def salt_and_pepper(image: Image, salt: Bool[Array, "h w"], pepper: Bool[Array, "h w"]) -> Image:
    """The image with white pixels at `salt` and black ones at `pepper`, which comes last.

    >>> salt_and_pepper(jnp.full((1, 2, 1), 0.5), jnp.array([[True, False]]), jnp.array([[False, True]])).ravel()
    Array([1., 0.], dtype=float32)
    """
    salted = jnp.where(salt[..., None], jnp.array(white(image), image.dtype), image)
    return jnp.where(pepper[..., None], jnp.zeros((), image.dtype), salted)


@typed
def random_salt_and_pepper(key: PRNGKey, image: Image, *, probability: float) -> Image:
    """`salt_and_pepper` where each pixel is lost with the given probability, to white or black in equal parts.

    Raises `ValueError` for a probability outside [0, 1].
    """
    within("[0, 1]", probability=probability)
    drawn = jax.random.uniform(key, image.shape[:2])
    return salt_and_pepper(image, drawn < probability / 2, (drawn >= probability / 2) & (drawn < probability))
