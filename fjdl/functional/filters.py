"""Kernels that find edges, named by the edges they answer to, for `depthwise_conv2d` and for `conv2d` of one channel.

All are `[3, 3, 1, channels]`, the same for each channel. A vertical edge is one that runs from top to bottom: the
kernel takes differences from left to right, positive where the left side is the brighter one; a horizontal edge counts
positive where it is brighter above.
"""

import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.typing import Array, Float, typed

_Kernel = Float[Array, "3 3 1 channels"]


@typed
def prewitt_vertical(*, channels: int = 1) -> _Kernel:
    """Differences summed over three rows: `[[1, 0, -1]] * 3`; minus `scipy.ndimage.prewitt(axis=1)`. Prewitt 1970.

    >>> prewitt_vertical(channels=1)[..., 0, 0]
    Array([[ 1.,  0., -1.],
           [ 1.,  0., -1.],
           [ 1.,  0., -1.]], dtype=float32)
    """
    return _across(1, 1, channels)


@typed
def prewitt_horizontal(*, channels: int = 1) -> _Kernel:
    """Differences summed over three columns, the transpose of `prewitt_vertical`."""
    return _down(1, 1, channels)


@typed
def sobel_vertical(*, channels: int = 1) -> _Kernel:
    """Differences, the middle row twice: `[[1, 0, -1], [2, 0, -2], [1, 0, -1]]`; minus `scipy.ndimage.sobel(axis=1)`.

    Sobel & Feldman 1968.

    >>> sobel_vertical(channels=1)[..., 0, 0]
    Array([[ 1.,  0., -1.],
           [ 2.,  0., -2.],
           [ 1.,  0., -1.]], dtype=float32)
    """
    return _across(1, 2, channels)


@typed
def sobel_horizontal(*, channels: int = 1) -> _Kernel:
    """Differences, the middle column twice, the transpose of `sobel_vertical`."""
    return _down(1, 2, channels)


@typed
def scharr_vertical(*, channels: int = 1) -> _Kernel:
    """Differences weighted 3, 10, 3: `[[3, 0, -3], [10, 0, -10], [3, 0, -3]]`, nearly the same in every direction.

    Scharr 2000. Minus `cv2.Scharr(dx=1)`.
    """
    return _across(3, 10, channels)


@typed
def scharr_horizontal(*, channels: int = 1) -> _Kernel:
    """Differences weighted 3, 10, 3, the transpose of `scharr_vertical`."""
    return _down(3, 10, channels)


@typed
def laplacian(*, channels: int = 1) -> _Kernel:
    """The sum of both second differences: `[[0, 1, 0], [1, -4, 1], [0, 1, 0]]`, edges of every direction.

    Negative on the bright side of an edge and positive on the dark one. Equals `scipy.ndimage.laplace`.

    >>> laplacian(channels=1)[..., 0, 0]
    Array([[ 0.,  1.,  0.],
           [ 1., -4.,  1.],
           [ 0.,  1.,  0.]], dtype=float32)
    """
    return _repeated([[0, 1, 0], [1, -4, 1], [0, 1, 0]], channels)


def _across(outer: int, middle: int, channels: int) -> Array:
    return _repeated([[weight, 0, -weight] for weight in (outer, middle, outer)], channels)


def _down(outer: int, middle: int, channels: int) -> Array:
    return _across(outer, middle, channels).swapaxes(0, 1)


def _repeated(rows: list[list[int]], channels: int) -> Array:
    at_least(1, channels=channels)
    return jnp.tile(jnp.array(rows, jnp.float32)[:, :, None, None], (1, 1, 1, channels))
