"""Means over windows."""

import math
from functools import partial, reduce

import jax.numpy as jnp
import numpy as np

from fjdl.functional.pool.windows import along, combined
from fjdl.functional.windows import taps
from fjdl.geometry import Axis
from fjdl.lowering import windows
from fjdl.numerics import widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Float, typed


@typed
def averages(x: Float[Array, "..."], axes: tuple[Axis, ...], *, count_include_pad: bool) -> Float[Array, "..."]:
    """Mean of each window, in the dtype of `x`."""
    total = _sums(widened(x), axes)
    counts = [_counts(axis, count_include_pad) for axis in axes]
    if all((n == axis.window).all() for n, axis in zip(counts, axes, strict=True)):
        return (total * (1.0 / math.prod(axis.window for axis in axes))).astype(x.dtype)
    sizes = math.prod(along(axis, n, x.ndim) for n, axis in zip(counts, axes, strict=True))
    return (total / np.asarray(sizes, total.dtype)).astype(x.dtype)


def _sums(x: Array, axes: tuple[Axis, ...]) -> Array:
    added = partial(_added, axes=axes)
    if not windows.known(axes):
        return added(x)
    return by_platform(x, tpu=partial(windows.sums, axes=axes), elsewhere=added)


def _added(x: Array, axes: tuple[Axis, ...]) -> Array:
    """Sums of strided slices, as XLA:CPU runs them fast."""
    if len(axes) == 2 and all(axis.tiled for axis in axes):
        return _tile_sum(x, axes)
    return combined(x, axes, combine=jnp.add, fill=0.0)


def _counts(axis: Axis, count_include_pad: bool) -> np.ndarray:
    """Entries of each window that its mean is over, at least 1."""
    low, high = axis.padding
    first, end = (0, low + axis.size + high) if count_include_pad else (low, low + axis.size)
    start = np.arange(axis.output) * axis.stride
    return np.maximum(np.minimum(start + axis.window, end) - np.maximum(start, first), 1)


def _tile_sum(x: Array, axes: tuple[Axis, ...]) -> Array:
    """Sums of windows side by side: columns as slices, rows as one reduction.

    XLA:CPU never computes a reduction twice, while it would repeat slices, and all that led to them, in every consumer.
    """
    rows, columns = axes
    *batch, _, _, c = x.shape
    x = reduce(jnp.add, taps(x, columns))[..., : rows.output * rows.window, :, :]
    x = x.reshape(*batch, rows.output, rows.window, columns.output * c).sum(axis=-2)
    return x.reshape(*batch, rows.output, columns.output, c)
