"""The range whose grid has the least squared error on what was seen."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.metrics.base import Weights
from fjdl.quant.grid import Grid, affine_grid, rounded, symmetric_grid
from fjdl.quant.ranges.base import Calibrator, Range, require_seen
from fjdl.quant.ranges.histogram import Histogram, density, empty, histogram, merged, points
from fjdl.typing import Array, Float, Scalar, typed

_COARSE, _FINE = 32, 8  # parts of the whole range, and of one such part


@typed
def mse_optimal(*, bits: int = 8, symmetric: bool = False) -> Calibrator:
    """The range on whose grid of so many bits the numbers seen have the least mean squared error.

    A narrower range has smaller steps and limits more numbers. Both ends are searched as parts of the extremes, in
    steps of 1/32 and around the best of 1/256; with `symmetric` one end, for a symmetric grid. The error is that of a
    histogram, see `percentile`, with numbers spread evenly within each bin. Raises `ValueError` for bits outside
    [2, 8]. Banner et al. 2019, arXiv:1810.05723.
    """
    within("[2, 8]", bits=bits)

    @typed
    def update(state: Histogram, x: Float[Array, "..."], weights: Weights = None) -> Histogram:
        return merged(state, histogram(x, weights))

    @typed
    def compute(state: Histogram) -> Range:
        require_seen(~(state.extremes.low > state.extremes.high))
        return _least_error(state, bits=bits, symmetric=symmetric)

    return Calibrator(empty, update, merged, compute)


@fused
def _least_error(state: Histogram, *, bits: int, symmetric: bool) -> Range:
    x, amount = points(density(state))
    low, high = state.extremes
    if symmetric:
        largest = jnp.maximum(jnp.abs(low), jnp.abs(high))
        part = _least(lambda a, _: _error(x, amount, symmetric_grid(a * largest, bits=bits)), one=True)[0]
        return Range(-part * largest, part * largest)
    low, high = jnp.minimum(low, 0), jnp.maximum(high, 0)
    a, b = _least(lambda a, b: _error(x, amount, affine_grid(a * low, b * high, bits=bits)), one=False)
    return Range(a * low, b * high)


def _error(x: Array, amount: Array, grid: Grid) -> Scalar:
    """The sum of squared errors."""
    zero = 0 if grid.zero_point is None else grid.zero_point
    back = (rounded(x, grid).astype(jnp.float32) - zero) * grid.scale
    return jnp.sum(amount * jnp.square(back - x))


def _least(error: Callable[[Scalar, Scalar], Scalar], *, one: bool) -> tuple[Scalar, Scalar]:
    """The two parts of (0, 1] with the least error, or the first alone."""
    parts = jnp.linspace(1 / _COARSE, 1, _COARSE)
    a, b = _best(error, parts, parts[-1:] if one else parts)
    near = jnp.arange(-_FINE + 1.0, _FINE) / (_FINE * _COARSE)
    return _best(error, _within(a + near), b[None] if one else _within(b + near))


def _within(parts: Array) -> Array:
    return jnp.clip(parts, 1 / (_COARSE * _FINE), 1)


def _best(error: Callable[[Scalar, Scalar], Scalar], first: Array, second: Array) -> tuple[Scalar, Scalar]:
    a, b = (axis.reshape(-1) for axis in jnp.meshgrid(first, second, indexing="ij"))
    errors = jax.lax.map(lambda pair: error(*pair), (a, b))
    place = jnp.argmin(errors)
    return a[place], b[place]
