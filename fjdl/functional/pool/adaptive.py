"""Pooling of sequences, images and volumes of any size to a grid of one size."""

from collections.abc import Callable

import jax.numpy as jnp

from fjdl.functional.pool.average import averages
from fjdl.functional.pool.maximum import largest, maxima
from fjdl.functional.pool.windows import windows_of
from fjdl.fused import fused
from fjdl.geometry import Axis, Pair, Single, Triple, per_axis
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed


@typed
@fused
def adaptive_average_pool2d(x: Float[Array, "*batch h w c"], *, size: Pair) -> Float[Array, "*batch h_out w_out c"]:
    """Mean of each bin of a grid of `size`, in the dtype of `x`; bin i of an axis is [⌊i n / s⌋, ⌈(i + 1) n / s⌉).

    Bins share an entry where the size does not divide the axis, and repeat entries where it is longer. Summed in
    float32. Equals `torch.nn.functional.adaptive_avg_pool2d`. Raises `ValueError` for an image without pixels.

    >>> adaptive_average_pool2d(jnp.arange(16.0).reshape(1, 4, 4, 1), size=2)[0, :, :, 0]
    Array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """
    return _averages(x, size, axes=2)


@typed
@fused
def adaptive_average_pool1d(x: Float[Array, "*batch n c"], *, size: Single) -> Float[Array, "*batch n_out c"]:
    """`adaptive_average_pool2d` of sequences; equals `torch.nn.functional.adaptive_avg_pool1d`.

    >>> adaptive_average_pool1d(jnp.array([1.0, 3.0, 5.0, 9.0]).reshape(1, 4, 1), size=2).ravel()
    Array([2., 7.], dtype=float32)
    """
    return _averages(x, size, axes=1)


@typed
@fused
def adaptive_average_pool3d(
    x: Float[Array, "*batch d h w c"], *, size: Triple
) -> Float[Array, "*batch d_out h_out w_out c"]:
    """`adaptive_average_pool2d` of volumes; equals `torch.nn.functional.adaptive_avg_pool3d`."""
    return _averages(x, size, axes=3)


@typed
@fused
def adaptive_max_pool2d(x: Float[Array, "*batch h w c"], *, size: Pair) -> Float[Array, "*batch h_out w_out c"]:
    """Largest entry of each bin of a grid of `size`, with the bins of `adaptive_average_pool2d`.

    The first of equal entries takes the whole gradient of its bin. Equals `torch.nn.functional.adaptive_max_pool2d`.
    Raises `ValueError` for an image without pixels.
    """
    return _maxima(x, size, axes=2)


@typed
@fused
def adaptive_max_pool1d(x: Float[Array, "*batch n c"], *, size: Single) -> Float[Array, "*batch n_out c"]:
    """`adaptive_max_pool2d` of sequences; equals `torch.nn.functional.adaptive_max_pool1d`.

    >>> adaptive_max_pool1d(jnp.array([1.0, 3.0, 5.0, 9.0]).reshape(1, 4, 1), size=2).ravel()
    Array([3., 9.], dtype=float32)
    """
    return _maxima(x, size, axes=1)


@typed
@fused
def adaptive_max_pool3d(
    x: Float[Array, "*batch d h w c"], *, size: Triple
) -> Float[Array, "*batch d_out h_out w_out c"]:
    """`adaptive_max_pool2d` of volumes; equals `torch.nn.functional.adaptive_max_pool3d`."""
    return _maxima(x, size, axes=3)


@typed
@fused
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


def _averages(x: Array, size: int | tuple[int, ...], *, axes: int) -> Array:
    grid = _grid(x, size, axes)
    windows = _even(x, grid)
    if windows is not None:
        return averages(x, windows, count_include_pad=True)
    y = _each_bin(widened(x), grid, lambda part, axis: jnp.mean(part, axis=axis))
    return y.astype(x.dtype)


def _maxima(x: Array, size: int | tuple[int, ...], *, axes: int) -> Array:
    grid = _grid(x, size, axes)
    windows = _even(x, grid)
    return _each_bin(jnp.asarray(x), grid, largest) if windows is None else maxima(jnp.asarray(x), windows)


def _grid(x: Array, size: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """Bins along each spatial axis."""
    if 0 in x.shape[-axes - 1 : -1]:
        raise ValueError(f"the image must have pixels, got shape {x.shape}")
    return per_axis("size", size, axes=axes)


def _even(x: Array, grid: tuple[int, ...]) -> tuple[Axis, ...] | None:
    """The bins as windows side by side, where they divide every axis."""
    sizes = x.shape[-len(grid) - 1 : -1]
    if any(n % bins for n, bins in zip(sizes, grid, strict=True)):
        return None
    window = tuple(n // bins for n, bins in zip(sizes, grid, strict=True))
    return windows_of(x.shape, spatial=len(grid), window=window, stride=None, padding="VALID")


def _each_bin(x: Array, grid: tuple[int, ...], pool: Callable[[Array, int], Array]) -> Array:
    """Pools the bins of each axis, the last first."""
    for axis, bins in zip(range(-2, -2 - len(grid), -1), reversed(grid), strict=True):
        x = jnp.stack([pool(part, axis) for part in _bins(x, axis, bins)], axis=axis)
    return x


def _bins(x: Array, axis: int, bins: int) -> list[Array]:
    n = x.shape[axis]
    ends = [(i * n // bins, -(-(i + 1) * n // bins)) for i in range(bins)]
    return [x[(..., slice(*part), *(slice(None),) * (-axis - 1))] for part in ends]
