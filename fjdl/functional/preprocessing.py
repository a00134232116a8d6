"""Pixels and features as floating-point inputs."""

import jax.numpy as jnp

from fjdl.typing import Array, Float, Num, typed


@typed
def scale_pixels(images: Num[Array, "*shape"], *, maximum: float = 255.0) -> Float[Array, "*shape"]:
    """Pixels of 0 to `maximum` as float32 numbers of 0 to 1; raises `ValueError` unless `maximum` is positive."""
    if not maximum > 0:
        raise ValueError(f"maximum must be positive, got {maximum}")
    return jnp.asarray(images).astype(jnp.float32) * (1.0 / maximum)


@typed
def standardize(x: Float[Array, "*shape"], *, mean: float, std: float) -> Float[Array, "*shape"]:
    """`(x - mean) / std`, the z-score; raises `ValueError` for a `std` that is not positive."""
    if not std > 0:
        raise ValueError(f"std must be positive, got {std}")
    return (x - mean) * (1.0 / std)
