"""Shifts and mirror images of one image `[h, w, c]` of any dtype."""

import jax
import jax.numpy as jnp

from fjdl.typing import Array, Bool, Int, PRNGKey, Shaped, typed


@typed
def shift(image: Shaped[Array, "h w c"], offset: Int[Array, "2"], *, most: int) -> Shaped[Array, "h w c"]:
    """The image moved down and right by `offset` pixels, each clipped to [-most, most]; zeros fill what opens.

    Equals `scipy.ndimage.shift(image, (*offset, 0), order=0)` for whole pixels. Raises `ValueError` for a negative
    `most`.
    """
    if most < 0:
        raise ValueError(f"most must not be negative, got {most}")
    padded = jnp.pad(image, ((most, most), (most, most), (0, 0)))
    start = most - jnp.clip(offset, -most, most)
    return jax.lax.dynamic_slice(padded, (start[0], start[1], jnp.zeros_like(start[0])), image.shape)


@typed
def random_shift(key: PRNGKey, image: Shaped[Array, "h w c"], *, most: int) -> Shaped[Array, "h w c"]:
    """`shift` by whole pixels, uniform on [-most, most] for each axis."""
    if most < 0:
        raise ValueError(f"most must not be negative, got {most}")
    return shift(image, jax.random.randint(key, (2,), -most, most + 1), most=most)


@typed
def mirror(image: Shaped[Array, "h w c"], flip: Bool[Array, ""]) -> Shaped[Array, "h w c"]:
    """The image with left and right exchanged where `flip` holds; equals `numpy.fliplr`."""
    return jnp.where(flip, image[:, ::-1], image)


@typed
def random_mirror(key: PRNGKey, image: Shaped[Array, "h w c"], *, probability: float = 0.5) -> Shaped[Array, "h w c"]:
    """`mirror` with the given probability; raises `ValueError` where it is outside [0, 1]."""
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must lie in [0, 1], got {probability}")
    return mirror(image, jax.random.bernoulli(key, probability))
