"""Sizes of sliding windows: strides, padding and output shapes, shared by convolution and pooling."""

from typing import Literal

Pair = int | tuple[int, int]
Pads = tuple[tuple[int, int], tuple[int, int]]
Padding = Literal["SAME", "VALID"] | int | Pads


def pair(name: str, value: Pair) -> tuple[int, int]:
    """`value` for both spatial axes; raises `ValueError` unless both are at least 1."""
    both = (value, value) if isinstance(value, int) else value
    if min(both) < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return both


def explicit_padding(
    padding: Padding,
    *,
    size: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Pads:
    """Pixels added before and after each spatial axis."""
    if padding == "VALID":
        return ((0, 0), (0, 0))
    if isinstance(padding, int | tuple):
        sides = padding if isinstance(padding, tuple) else ((padding, padding), (padding, padding))
        if min(sides[0] + sides[1]) < 0:
            raise ValueError(f"padding must not be negative, got {padding}")
        return sides
    top, left = (_same(*axis) for axis in zip(size, window, stride, dilation, strict=True))
    return (top, left)


def _same(size: int, window: int, stride: int, dilation: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + dilation * (window - 1) + 1 - size, 0)
    return (total // 2, total - total // 2)


def output_size(size: int, *, window: int, stride: int, padding: tuple[int, int], dilation: int = 1) -> int:
    """Positions of a window along one axis: floor((size + padding - dilation (window - 1) - 1) / stride) + 1.

    Raises `ValueError` where the window does not fit.
    """
    room = size + sum(padding) - dilation * (window - 1) - 1
    if room < 0:
        raise ValueError(
            f"the window must fit into the padded image, got window {window} (dilation {dilation}) "
            f"on size {size} with padding {padding}"
        )
    return room // stride + 1
