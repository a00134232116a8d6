"""Rectangles of whole pixels `(top, left, height, width)` and where they are drawn."""

import jax
import jax.numpy as jnp

from fjdl.augment.pixels import ascending
from fjdl.typing import Array, Bool, Int, PRNGKey, typed

ATTEMPTS = 10


@typed
def covered(window: Int[Array, "4"], *, size: tuple[int, int]) -> Bool[Array, "h w"]:
    """Which pixels of an image of `size` = (height, width) lie in the window, which may reach beyond it."""
    top, left, height, width = window
    y, x = jnp.arange(size[0])[:, None], jnp.arange(size[1])[None, :]
    return (y >= top) & (y - top < height) & (x >= left) & (x - left < width)


@typed
def random_window(
    key: PRNGKey, *, size: tuple[int, int], area: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Int[Array, "4"], Bool[Array, ""]]:
    """A window inside an image of `size` and whether one was found in ten attempts; otherwise it is the whole image.

    Its part of the area is uniform on `area`, the logarithm of its width / height uniform on that of `ratio`, and its
    place uniform. Raises `ValueError` unless both ascend above 0, and for an area above 1.
    """
    ascending("area", area, high=1.0)
    ascending("ratio", ratio)
    drawn = jax.random.uniform(key, (4, ATTEMPTS), jnp.float32)
    target = (area[0] + (area[1] - area[0]) * drawn[0]) * (size[0] * size[1])
    aspect = ratio[0] * (ratio[1] / ratio[0]) ** drawn[1]
    sides = jnp.round(jnp.sqrt(jnp.stack([target / aspect, target * aspect]))).astype(jnp.int32)
    extent = jnp.array(size, jnp.int32)[:, None]
    fits = jnp.all((sides >= 1) & (sides <= extent), axis=0)
    spare = jnp.maximum(extent - sides, 0)
    starts = jnp.minimum((drawn[2:] * (spare + 1).astype(jnp.float32)).astype(jnp.int32), spare)
    whole = jnp.array([0, 0, *size], jnp.int32)
    found = jnp.any(fits)
    attempts = jnp.concatenate([starts, sides])
    first = jax.lax.select_n(jnp.argmax(fits).astype(jnp.int32), *(attempts[:, i] for i in range(ATTEMPTS)))
    return jnp.where(found, first, whole), found
