"""What the taps of a kernel meet: the geometry that the ways of convolution share."""

from fjdl.geometry import Axis
from fjdl.typing import Array


def met(axis: Axis, tap: int) -> slice:
    """The pixels of the padded axis that a tap meets, one for each output."""
    first = tap * axis.dilation
    return slice(first, first + (axis.output - 1) * axis.stride + 1, axis.stride)


def phase_size(axis: Axis) -> int:
    """Pixels in each phase of an axis with stride s: every s-th, the missing ones of the last counted too."""
    return -(-axis.size // axis.stride)


def shifts(axis: Axis, phase: int) -> list[tuple[int, int]]:
    """The taps that meet the pixels of one phase, each with the output that meets the first of them.

    Pixel `phase + s t` meets tap k where output t + shift lies.
    """
    reached = ((tap, phase + axis.padding[0] - tap * axis.dilation) for tap in range(axis.window))
    return [(tap, start // axis.stride) for tap, start in reached if start % axis.stride == 0]


def divided(images: Array, most: int) -> Array:
    """[chunks, n / chunks, ...]: at most so many images at once, but one at least, and a divisor of their number."""
    n = images.shape[0]
    if not n:
        return images[None]
    together = next(count for count in range(min(max(most, 1), n), 0, -1) if n % count == 0)
    return images.reshape(n // together, together, *images.shape[1:])
