"""Windows of pooling, and their entries combined."""

from collections.abc import Callable
from functools import reduce

import numpy as np

from fjdl.functional.windows import padded, taps
from fjdl.geometry import AnyPadding, Axis, slide
from fjdl.typing import Array, Float, typed

Sizes = int | tuple[int, ...]


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
) -> tuple[Axis, ...]:
    """The windows along each of the `spatial` axes before the channels; `stride` is the window unless given."""
    axes = slide(
        shape[-spatial - 1 : -1],
        window=window,
        stride=window if stride is None else stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )
    if any(max(axis.padding) >= axis.window for axis in axes):
        raise ValueError(f"padding must be smaller than the window, got padding {padding} and window {window}")
    return axes


@typed
def combined(
    x: Float[Array, "..."], axes: tuple[Axis, ...], *, combine: Callable[[Array, Array], Array], fill: float
) -> Float[Array, "..."]:
    """The entries of each window combined by a function of two, the last axis first."""
    x = padded(x, axes, fill=fill)
    for axis in reversed(axes):
        x = reduce(combine, taps(x, axis))
    return x


@typed
def along(axis: Axis, values: np.ndarray, ndim: int) -> np.ndarray:
    """One value for each window, in a shape that broadcasts with an array of `ndim` axes."""
    shape = [1] * ndim
    shape[axis.position] = axis.output
    return values.reshape(shape)
