"""The entries under windows over the spatial axes of channels-last arrays, taken as strided slices."""

import jax.numpy as jnp

from fjdl.geometry import Axis
from fjdl.typing import Array, Float, Num, typed


@typed
def padded(x: Float[Array, "..."], axes: tuple[Axis, ...], *, fill: float) -> Float[Array, "..."]:
    """`x` with `fill` wherever windows leave it."""
    if not any(max(axis.missing) for axis in axes):
        return x
    widths = [(0, 0)] * x.ndim
    for axis in axes:
        widths[axis.position] = axis.missing
    return jnp.pad(x, widths, constant_values=fill)


@typed
def taps(x: Num[Array, "..."], axis: Axis, *, position: int | None = None) -> list[Num[Array, "..."]]:
    """The first entry of all windows along one padded axis, then the second, and so on.

    `position` is the place of the axis in the shape, counted from its end, where it is not that of the image.
    """
    index: list[slice] = [slice(None)] * x.ndim
    entries = []
    for tap in range(axis.window):
        index[axis.position if position is None else position] = axis.met(tap)
        entries.append(x[tuple(index)])
    return entries
