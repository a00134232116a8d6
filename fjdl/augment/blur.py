"""Gaussian blur of one image: float or uint8, in the dtype of the input."""

import jax
import jax.numpy as jnp

from fjdl.augment.pixels import Amount, Image, amount, ascending, pixels
from fjdl.checks import within
from fjdl.fused import fused
from fjdl.numerics import widened
from fjdl.typing import Array, Float, PRNGKey, typed


@typed
def gaussian_blur(image: Image, sigma: Amount, *, radius: int) -> Image:
    """The mean of the image along rows and columns with weights `exp(-t² / 2σ²)` for `|t| <= radius`, in pixels.

    Beyond the border the image continues as its mirror image, so a constant stays constant. `sigma` 0 changes nothing.
    Rounded for uint8. Equals `scipy.ndimage.gaussian_filter(image, (sigma, sigma, 0), radius=radius)`. Raises
    `ValueError` for a negative sigma or radius.
    """
    within("[0, inf]", sigma=sigma)
    within("[0, inf]", radius=radius)
    return pixels(_blurred(widened(image), amount(sigma, image), radius), image)


@typed
def random_gaussian_blur(
    key: PRNGKey, image: Image, *, sigma: tuple[float, float] = (0.1, 2.0), radius: int | None = None
) -> Image:
    """`gaussian_blur` with sigma uniform between two values (Chen et al. 2020, arXiv:2002.05709, §A).

    The radius is four of the largest sigma unless it is given. Raises `ValueError` unless they ascend above 0.
    """
    ascending("sigma", sigma)
    radius = int(4 * sigma[1] + 0.5) if radius is None else radius
    return gaussian_blur(image, jax.random.uniform(key, (), jnp.float32, *sigma), radius=radius)


@fused
def _blurred(values: Float[Array, "h w c"], sigma: Float[Array, ""], radius: int) -> Float[Array, "h w c"]:
    weights = _gaussian(sigma, radius)
    for axis in (0, 1):
        values = _smooth(values, weights, radius, axis)
    return values


def _gaussian(sigma: Float[Array, ""], radius: int) -> Float[Array, " taps"]:
    offsets = jnp.arange(-radius, radius + 1).astype(sigma.dtype)
    scaled = offsets / jnp.where(sigma > 0, sigma, 1)
    weights = jnp.where(sigma > 0, jnp.exp(-0.5 * scaled * scaled), (offsets == 0).astype(sigma.dtype))
    return weights / jnp.sum(weights)


def _smooth(values: Array, weights: Float[Array, " taps"], radius: int, axis: int) -> Array:
    """A sum of shifted images, which XLA fuses to one loop; a convolution over channels alone it runs slowly on CPU."""
    margin = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
    padded, n = jnp.pad(values, margin, mode="symmetric"), values.shape[axis]
    return sum(
        (weights[t] * jax.lax.slice_in_dim(padded, t, t + n, axis=axis) for t in range(2 * radius + 1)),
        start=jnp.zeros_like(values),
    )
