"""Windows that slide over the spatial axes of channels-last arrays, as strided slices."""

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fjdl.geometry import AnyPadding, Sides, explicit_padding, output_size, per_axis
from fjdl.typing import Array, Float, Num, typed

Sizes = int | tuple[int, ...]


class Windows(NamedTuple):
    """`output` windows along one axis, which is counted from the end of the shape."""

    position: int
    size: int
    window: int
    stride: int
    padding: Sides
    dilation: int
    output: int

    @property
    def missing(self) -> tuple[int, int]:
        """Entries before and after the axis that windows reach."""
        end = (self.output - 1) * self.stride + self.dilation * (self.window - 1) + 1
        return self.padding[0], max(end - self.padding[0] - self.size, 0)

    @property
    def tiled(self) -> bool:
        """Whether the windows lie side by side, inside of the axis."""
        return self.stride == self.window and self.dilation == 1 and self.missing == (0, 0)

    def along(self, values: np.ndarray, ndim: int) -> np.ndarray:
        """One value for each window, in a shape that broadcasts with an array of `ndim` axes."""
        shape = [1] * ndim
        shape[self.position] = self.output
        return values.reshape(shape)


@typed
def windows_of(
    shape: tuple[int, ...],
    *,
    spatial: int,
    window: Sizes,
    stride: Sizes | None,
    padding: AnyPadding,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> tuple[Windows, ...]:
    """The windows along each of the `spatial` axes before the channels; `stride` is the window unless given."""
    widths = per_axis("window", window, axes=spatial)
    steps = per_axis("stride", window if stride is None else stride, axes=spatial)
    rates = per_axis("dilation", dilation, axes=spatial)
    sizes = shape[-spatial - 1 : -1]
    pads = explicit_padding(padding, size=sizes, window=widths, stride=steps, dilation=rates)
    if any(max(sides) >= width for sides, width in zip(pads, widths, strict=True)):
        raise ValueError(f"padding must be smaller than the window, got padding {padding} and window {window}")
    return tuple(
        Windows(i - spatial - 1, *axis, _count(*axis, ceil_mode=ceil_mode))
        for i, axis in enumerate(zip(sizes, widths, steps, pads, rates, strict=True))
    )


@typed
def slide(
    x: Float[Array, "..."],
    axes: tuple[Windows, ...],
    *,
    combine: Callable[[Array, Array], Array],
    fill: float,
) -> Float[Array, "..."]:
    """Combines the entries of each window, the last axis first."""
    x = padded(x, axes, fill=fill)
    for axis in reversed(axes):
        x = reduce(combine, taps(x, axis))
    return x


@typed
def padded(x: Float[Array, "..."], axes: tuple[Windows, ...], *, fill: float) -> Float[Array, "..."]:
    """`x` with `fill` wherever windows leave it."""
    if not any(max(axis.missing) for axis in axes):
        return x
    widths = [(0, 0)] * x.ndim
    for axis in axes:
        widths[axis.position] = axis.missing
    return jnp.pad(x, widths, constant_values=fill)


@typed
def taps(x: Num[Array, "..."], axis: Windows) -> list[Num[Array, "..."]]:
    """The first entry of all windows along one padded axis, then the second, and so on."""
    index: list[slice] = [slice(None)] * x.ndim
    entries = []
    for first in range(0, axis.window * axis.dilation, axis.dilation):
        index[axis.position] = slice(first, first + (axis.output - 1) * axis.stride + 1, axis.stride)
        entries.append(x[tuple(index)])
    return entries


def _count(size: int, window: int, stride: int, sides: Sides, dilation: int, *, ceil_mode: bool) -> int:
    """Positions of the window; `ceil_mode` adds one that leaves the axis but does not start beyond its entries."""
    low, high = sides
    room = (low, high + stride - 1) if ceil_mode else sides
    count = output_size(size, window=window, stride=stride, padding=room, dilation=dilation)
    beyond = ceil_mode and count > 1 and (count - 1) * stride >= low + size
    return count - beyond
