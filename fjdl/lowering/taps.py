"""Which entries of the input each tap of a kernel is multiplied with: geometry that all ways of convolution share."""

import jax.numpy as jnp

from fjdl.geometry import Axis
from fjdl.typing import Array


def phase_size(axis: Axis) -> int:
    """Pixels in each phase of an axis with stride s: every s-th, the missing ones of the last counted too."""
    return -(-axis.size // axis.stride)


def shifts(axis: Axis, phase: int) -> list[tuple[int, int]]:
    """The taps that meet the pixels of one phase, each with the output that meets the first of them.

    Pixel `phase + s t` meets tap k where output t + shift lies.
    """
    reached = ((tap, phase + axis.padding[0] - tap * axis.dilation) for tap in range(axis.window))
    return [(tap, start // axis.stride) for tap, start in reached if start % axis.stride == 0]


def interlocked(phases: list[list[Array]], axes: tuple[Axis, Axis]) -> Array:
    """The image whose every s-th row and every s-th column from (a, b) on is `phases[a][b]`, cut to its size."""
    x = jnp.stack([jnp.stack(row, axis=-2) for row in phases], axis=-4)  # [..., h / s, s, w / s, s, c]
    *images, h, s, w, t, c = x.shape
    return x.reshape(*images, h * s, w * t, c)[..., : axes[0].size, : axes[1].size, :]


def divided(images: Array, most: int) -> Array:
    """[chunks, n / chunks, ...]: `together` images at once, and no images as one chunk."""
    n = images.shape[0]
    count = together(n, most)
    return images[None] if n == 0 else images.reshape(n // count, count, *images.shape[1:])


def together(images: int, most: int) -> int:
    """The largest divisor of the number of images up to `most`; 1 of no images, and of a number left open."""
    if not isinstance(images, int):
        return 1
    return next((count for count in range(min(most, images), 1, -1) if images % count == 0), 1)
