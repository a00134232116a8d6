"""Pixels and features as floating-point inputs."""

import jax.numpy as jnp
import numpy as np

from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Num, Number, typed


@typed
def scale_pixels(images: Num[Array, "*shape"], *, maximum: Number = 255.0) -> Float[Array, "*shape"]:
    """Pixels of 0 to `maximum` as float32 numbers of 0 to 1; raises `ValueError` unless `maximum` is positive.

    >>> scale_pixels(jnp.array([0, 51, 255], jnp.uint8))
    Array([0.        , 0.2000..., 1.        ], dtype=float32)
    """
    within("(0, inf]", maximum=maximum)
    return jnp.asarray(images).astype(jnp.float32) * (1.0 / maximum)


@typed
def standardize(
    x: Float[Array, "*shape"], *, mean: float | tuple[float, ...], std: float | tuple[float, ...]
) -> Float[Array, "*shape"]:
    """`(x - mean) / std`, the z-score, with one number for all or one for each channel, the last axis.

    The numbers are given; `fjdl.functional.scaling.fit_standard` finds them in data, and
    `fjdl.data.embedded.standardize` does both for a data set of features.
    Computed in float32 (float64 for float64) and rounded once, to the dtype of `x`.
    Raises `ValueError` for a `std` that is not positive, and for another number of channels.

    >>> standardize(jnp.array([[1.0, 7.0]]), mean=(1.0, 3.0), std=(1.0, 2.0))
    Array([[0., 2.]], dtype=float32)
    """
    means, stds = (np.atleast_1d(np.asarray(values, np.float64)) for values in (mean, std))
    if not (stds > 0).all():
        raise ValueError(f"std must be positive, got {std}")
    for name, values in (("mean", means), ("std", stds)):
        if len(values) not in (1, *x.shape[-1:]):
            raise ValueError(f"{name} must be one number or one for each of {x.shape[-1]} channels, got {len(values)}")
    shape = (1,) * max(x.ndim - 1, 0) + (-1,) if x.ndim else ()
    values = widened(x)
    shifted = values - jnp.asarray(means.reshape(shape), values.dtype)
    return (shifted * jnp.asarray((1.0 / stds).reshape(shape), values.dtype)).astype(x.dtype)
