"""Crops and padding of one image `[h, w, c]` of any dtype."""

import jax
import jax.numpy as jnp

from fjdl.augment.pixels import filled
from fjdl.checks import within
from fjdl.lowering.slices import window
from fjdl.typing import Array, Int, PRNGKey, Shaped, typed


@typed
def crop(image: Shaped[Array, "h w c"], start: Int[Array, "2"], *, size: tuple[int, int]) -> Shaped[Array, "_ _ c"]:
    """The `size` = (height, width) pixels from row and column `start`: `image[y : y + height, x : x + width]`.

    `start` is clipped so that the window lies in the image. Raises `ValueError` for a size that is not positive or is
    larger than the image.

    >>> crop(jnp.arange(4.0).reshape(2, 2, 1) / 4, jnp.array([0, 1]), size=(2, 1))[..., 0]
    Array([[0.25],
           [0.75]], dtype=float32)
    """
    h, w, _ = image.shape
    if not (0 < size[0] <= h and 0 < size[1] <= w):
        raise ValueError(f"size must be positive and at most that of the image, ({h}, {w}), got {size}")
    start = jnp.asarray(start)
    start = jnp.clip(start, 0, jnp.array([h - size[0], w - size[1]], start.dtype))
    return window(image, start, size=size)


@typed
def centre_crop(image: Shaped[Array, "h w c"], *, size: tuple[int, int]) -> Shaped[Array, "_ _ c"]:
    """The `size` = (height, width) pixels in the middle; where an odd number is cut off, one more of it at the end.

    Raises `ValueError` for a size that is not positive or is larger than the image.

    >>> centre_crop(jnp.arange(9.0).reshape(3, 3, 1), size=(1, 1))
    Array([[[4.]]], dtype=float32)
    """
    return crop(image, centre_start(extent=(image.shape[0], image.shape[1]), size=size), size=size)


@typed
def random_crop(
    key: PRNGKey,
    image: Shaped[Array, "h w c"],
    *,
    size: tuple[int, int],
    padding: int = 0,
    fill: float = 0.0,
    reflect: bool = False,
) -> Shaped[Array, "_ _ c"]:
    """`crop` at a uniform place after `pad`; padding 4 is the usual one for 32×32 images (He et al. 2016, §4.2)."""
    padded = pad(image, padding=padding, fill=fill, reflect=reflect)
    return crop(padded, random_start(key, extent=(padded.shape[0], padded.shape[1]), size=size), size=size)


@typed
def centre_start(*, extent: tuple[int, int], size: tuple[int, int]) -> Int[Array, "2"]:
    """First row and column of a window of `size` in the middle of the `extent`; 0 where it is larger."""
    return jnp.array([max(e - s, 0) // 2 for e, s in zip(extent, size, strict=True)], jnp.int32)


@typed
def random_start(key: PRNGKey, *, extent: tuple[int, int], size: tuple[int, int]) -> Int[Array, "2"]:
    """First row and column of a window of `size`, uniform over all that lie in the `extent`; 0 where it is larger."""
    spare = [max(e - s, 0) for e, s in zip(extent, size, strict=True)]
    return jax.random.randint(key, (2,), 0, jnp.array(spare, jnp.int32) + 1)


@typed
def pad(
    image: Shaped[Array, "h w c"], *, padding: int, fill: float = 0.0, reflect: bool = False
) -> Shaped[Array, "_ _ c"]:
    """The image with `padding` pixels around it: `fill`, or its reflection, which does not repeat the border.

    Equals `numpy.pad` in mode "constant" or "reflect". Raises `ValueError` for a negative padding, for a reflection
    that is not smaller than the image, and for a fill that the image cannot hold; it is rounded for integers.

    >>> pad(jnp.ones((1, 1, 1)), padding=1)[..., 0]
    Array([[0., 0., 0.],
           [0., 1., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    within("[0, inf]", padding=padding)
    if reflect and padding >= min(image.shape[:2]):
        raise ValueError(f"padding must be smaller than the image where it reflects, got {padding}")
    margin = ((padding, padding), (padding, padding), (0, 0))
    if reflect:
        return jnp.pad(image, margin, mode="reflect")
    return jnp.pad(image, margin, constant_values=filled(image, fill=fill))
