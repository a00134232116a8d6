"""Pooling of images of any size to a grid of one size."""

from collections.abc import Callable

import jax.numpy as jnp

from fjdl.functional.pool import average_pool2d, max_pool2d
from fjdl.functional.pool_maximum import largest
from fjdl.geometry import Pair, pair
from fjdl.numerics import accumulate
from fjdl.typing import Array, Float, typed


@typed
def adaptive_average_pool2d(x: Float[Array, "*batch h w c"], *, size: Pair) -> Float[Array, "*batch h_out w_out c"]:
    """Mean of each bin of a grid of `size`, in the dtype of `x`; bin i of an axis is [⌊i n / s⌋, ⌈(i + 1) n / s⌉).

    Bins share an entry where the size does not divide the axis, and repeat entries where it is longer. Summed in
    float32. Equals `torch.nn.functional.adaptive_avg_pool2d`. Raises `ValueError` for an image without pixels.
    """
    rows, columns = _grid(x, size)
    if x.shape[-3] % rows == 0 and x.shape[-2] % columns == 0:
        return average_pool2d(x, window=(x.shape[-3] // rows, x.shape[-2] // columns))
    y = accumulate(x)
    for axis, bins in ((-2, columns), (-3, rows)):
        y = _each_bin(y, axis, bins, lambda part, axis: jnp.mean(part, axis=axis))
    return y.astype(x.dtype)


@typed
def adaptive_max_pool2d(x: Float[Array, "*batch h w c"], *, size: Pair) -> Float[Array, "*batch h_out w_out c"]:
    """Largest entry of each bin of a grid of `size`, with the bins of `adaptive_average_pool2d`.

    The first of equal entries takes the whole gradient of its bin. Equals `torch.nn.functional.adaptive_max_pool2d`.
    Raises `ValueError` for an image without pixels.
    """
    rows, columns = _grid(x, size)
    if x.shape[-3] % rows == 0 and x.shape[-2] % columns == 0:
        return max_pool2d(x, window=(x.shape[-3] // rows, x.shape[-2] // columns))
    for axis, bins in ((-2, columns), (-3, rows)):
        x = _each_bin(x, axis, bins, largest)
    return jnp.asarray(x)


@typed
def spatial_pyramid_pool2d(
    x: Float[Array, "*batch h w c"], *, levels: tuple[int, ...] = (1, 2, 4)
) -> Float[Array, "*batch features"]:
    """Features of one length for images of any size: the largest entries of grids of 1², 2² and 4² bins, side by side.

    Level by level, bins in row order, channels last; `c · Σ level²` numbers. He et al. 2014, arXiv:1406.4729, which
    rounds the bins outwards as `adaptive_max_pool2d` does. Raises `ValueError` for no levels and for levels below 1.
    """
    if not levels:
        raise ValueError("levels must not be empty, got ()")
    grids = [adaptive_max_pool2d(x, size=level) for level in levels]
    return jnp.concatenate(
        [grid.reshape(*x.shape[:-3], level**2 * x.shape[-1]) for grid, level in zip(grids, levels, strict=True)],
        axis=-1,
    )


def _grid(x: Array, size: Pair) -> tuple[int, int]:
    if 0 in x.shape[-3:-1]:
        raise ValueError(f"the image must have pixels, got shape {x.shape}")
    return pair("size", size)


def _each_bin(x: Array, axis: int, bins: int, pool: Callable[[Array, int], Array]) -> Array:
    n = x.shape[axis]
    index: list[slice] = [slice(None)] * x.ndim
    parts = []
    for i in range(bins):
        index[axis] = slice(i * n // bins, -(-(i + 1) * n // bins))
        parts.append(pool(x[tuple(index)], axis))
    return jnp.stack(parts, axis=axis)
