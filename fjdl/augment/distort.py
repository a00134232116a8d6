"""Images seen through a smooth random distortion."""

import jax
import jax.numpy as jnp

from fjdl.augment.blur import gaussian_blur
from fjdl.augment.warp import at_points
from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Float, PRNGKey, Shaped, typed

Displacement = Float[Array, "h w 2"]


@typed
def elastic(
    image: Shaped[Array, "h w c"], displacement: Displacement, *, fill: float = 0.0, nearest: bool = False
) -> Shaped[Array, "h w c"]:
    """The image whose every pixel samples the point `displacement` = (down, right) pixels away from its own centre.

    Sampled as `affine` does, bilinear or, for masks, by the `nearest` pixel; displacements of 0 give the image bit for
    bit. Equals `scipy.ndimage.map_coordinates(channel, indices + displacement, mode="grid-constant")` of order 1 or 0.
    Raises `ValueError` for booleans unless `nearest`.
    """
    x, y = origins(displacement)
    return at_points(image, x, y, fill=fill, nearest=nearest)


@typed
def random_displacement(key: PRNGKey, *, size: tuple[int, int], alpha: float, sigma: float) -> Displacement:
    """Displacements for an image of `size` = (height, width): uniform on [-alpha, alpha] pixels, then smoothed.

    Smoothing is `gaussian_blur` with a deviation of `sigma` pixels, up to four of them. It makes neighbours move alike
    and the distances smaller, by about 1 / (2 √π sigma): Simard et al. 2003 take alpha 34 and sigma 4 for digits.
    Raises `ValueError` for a negative alpha and unless sigma is positive.
    """
    within("[0, inf)", alpha=alpha)
    within("(0, inf)", sigma=sigma)
    drawn = jax.random.uniform(key, (*size, 2), jnp.float32, -1, 1)
    return alpha * gaussian_blur(drawn, sigma, radius=int(4 * sigma + 0.5))


@typed
def random_elastic(
    key: PRNGKey,
    image: Shaped[Array, "h w c"],
    *,
    alpha: float = 34.0,
    sigma: float = 4.0,
    fill: float = 0.0,
    nearest: bool = False,
) -> Shaped[Array, "h w c"]:
    """`elastic` by `random_displacement`."""
    h, w, _ = image.shape
    displacement = random_displacement(key, size=(h, w), alpha=alpha, sigma=sigma)
    return elastic(image, displacement, fill=fill, nearest=nearest)


@typed
def origins(displacement: Displacement) -> tuple[Float[Array, "h w"], Float[Array, "h w"]]:
    """The point (x, y) that each pixel samples, where the centre of the first pixel is (0.5, 0.5)."""
    moved = widened(displacement)
    h, w, _ = moved.shape
    y = jnp.arange(h).astype(moved.dtype)[:, None] + 0.5
    x = jnp.arange(w).astype(moved.dtype)[None, :] + 0.5
    return x + moved[..., 1], y + moved[..., 0]
