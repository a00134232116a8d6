"""The grid of reals that integers stand for, rounding onto it, and the way back."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.core import Tracer

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.typing import Array, Float, Int, typed

SMALLEST = float(jnp.finfo(jnp.float32).tiny)

Blocks = Float[Array, "*blocks"]


@partial(jax.tree_util.register_dataclass, data_fields=("scale", "zero_point"), meta_fields=("bits",))
@dataclass(frozen=True)
class Grid:
    """The reals (i − zero_point) · scale of all integers i of so many bits.

    `scale` is the step between neighbours, the inverse of what some texts call so. It is float32, and so is
    `zero_point`, which has the same shape and holds whole numbers. Without one the grid is symmetric, and its lowest
    integer is −2^(bits−1) + 1. A scale without axes is one for all; otherwise its shape is as in `Quantized`.
    """

    scale: Array
    zero_point: Array | None = None
    bits: int = 8

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest integer."""
        top = 2 ** (self.bits - 1) - 1
        return (-top if self.zero_point is None else -top - 1), top


@typed
def symmetric_grid(largest: Blocks | float, *, bits: int = 8) -> Grid:
    """The grid from −largest to largest, whose step is largest / (2^(bits−1) − 1); 1 where `largest` is 0.

    A step below the smallest normal float32 becomes 1, so that such numbers become 0; NaN and infinities give a step of
    NaN. Raises `ValueError` for bits outside [2, 8] and a known `largest` that is negative.

    >>> symmetric_grid(127.0).scale
    Array(1., dtype=float32)
    """
    within("[2, 8]", bits=bits)
    within("[0, inf]", largest=largest)
    return Grid(usable(jnp.asarray(largest, jnp.float32) / (2 ** (bits - 1) - 1), otherwise=1.0), bits=bits)


@typed
def affine_grid(low: Blocks | float, high: Blocks | float, *, bits: int = 8) -> Grid:
    """The grid of 2^bits steps over [low, high], which is widened to include 0, so that 0 is on it exactly.

    scale = (high − low) / (2^bits − 1) and zero_point = −round(low / scale) − 2^(bits−1), which lies among the
    integers. So zeros of a ReLU and of padding are exact (Jacob et al. 2018, arXiv:1712.05877). Where both are 0 the
    step is 1. Raises `ValueError` for bits outside [2, 8].

    >>> grid = affine_grid(0.0, 255.0)
    >>> grid.scale, grid.zero_point
    (Array(1., dtype=float32), Array(-128., dtype=float32))
    """
    low, high = jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32)
    return grid_over(jnp.minimum(low, 0), jnp.maximum(high, 0), bits=bits)


@typed
@fused
def grid_over(low: Blocks, high: Blocks, *, bits: int) -> Grid:
    """The grid over [low, high] itself, whose zero point may lie far outside of the integers; one number is exact."""
    within("[2, 8]", bits=bits)
    bottom, steps = -(2 ** (bits - 1)), 2**bits - 1
    half_range = 0.5 * high - 0.5 * low  # finite where high - low overflows
    scale = usable(half_range / (0.5 * steps), otherwise=usable(jnp.abs(low), otherwise=1.0))
    return Grid(scale, bottom - jnp.round(low / scale), bits)


@typed
@fused
def rounded(x: Float[Array, "*shape"], grid: Grid) -> Int[Array, "*shape"]:
    """The integers, as int8, of the points of the grid that are nearest to `x`: round(x / scale + zero_point), limited.

    Halves round to even. The limits come before the cast, which would wrap; NaN becomes 0.
    """
    x, scale = jnp.asarray(x).astype(jnp.float32), spread(grid.scale, x.shape)
    steps = x / scale if grid.zero_point is None else x / scale + spread(grid.zero_point, x.shape)
    whole = jnp.clip(jnp.round(steps), *grid.limits)
    return jnp.where(jnp.isnan(whole), 0.0, whole).astype(jnp.int8)


@typed
@fused
def spread(scale: Blocks, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """`scale`, one entry for each block, repeated so that it broadcasts against an array of `shape`."""
    scale = jnp.asarray(scale)
    if scale.ndim == 0:
        return scale.reshape((1,) * len(shape))
    for axis, (blocks, size) in enumerate(zip(scale.shape, shape, strict=True)):
        if blocks != 1 and blocks != size:
            scale = jnp.repeat(scale, size // blocks, axis=axis)
    return scale


@typed
def scale_and_zero(grid: Grid, shape: tuple[int, ...]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Scale and zero point, 0 where there is none, beside an array of `shape`, see `spread`."""
    scale = spread(grid.scale, shape)
    return scale, jnp.zeros_like(scale) if grid.zero_point is None else spread(grid.zero_point, shape)


@typed
def usable(step: Blocks, *, otherwise: Blocks | float) -> Blocks:
    """`step`; `otherwise` where it is zero or subnormal, and NaN where it is not finite."""
    return jnp.where(jnp.isfinite(step), jnp.where(step >= SMALLEST, step, otherwise), jnp.nan)


@typed
def refuse_nan(x: Float[Array, "..."], *, infinite: bool = False, name: str = "x") -> None:
    """Raises `ValueError` where a known `x`, called `name`, holds a NaN, or an infinity if these are refused too."""
    if isinstance(x, Tracer) or (isinstance(x, jax.Array) and not x.is_fully_addressable):
        return
    bad = _refused(x, infinite=infinite)
    if not isinstance(bad, Tracer) and int(bad) > 0:  # under a trace even what is known is computed by the program
        kind = "NaN and no infinity" if infinite else "NaN"
        raise ValueError(f"{name} must hold no {kind}, got {int(bad)} among {x.size} entries")


@fused
def _refused(x: Array, *, infinite: bool) -> Array:
    return jnp.sum(~jnp.isfinite(x) if infinite else jnp.isnan(x))
