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
    x = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)  # [n, h / s, s, w / s, s, c]
    x = x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3] * x.shape[4], x.shape[5])
    return x[:, : axes[0].size, : axes[1].size]


def divided(images: Array, most: int) -> Array:
    """[chunks, n / chunks, ...]: at most so many images at once, but one at least, and a divisor of their number.

    Of a number that `jax.export` leaves open it is one.
    """
    n = images.shape[0]
    if not isinstance(n, int):
        return images[:, None]
    if not n:
        return images[None]
    together = next(count for count in range(min(max(most, 1), n), 0, -1) if n % count == 0)
    return images.reshape(n // together, together, *images.shape[1:])
