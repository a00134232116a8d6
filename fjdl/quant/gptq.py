"""Second-order rounding: what one input's weights lose by rounding is made up for by those that are not yet rounded."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.scipy.linalg import solve_triangular

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.meshes import scan
from fjdl.quant.forms import from_integers, on_axes
from fjdl.quant.grid import Grid, refuse_nan, rounded, spread
from fjdl.quant.moments import by_group, from_groups
from fjdl.quant.quantized import Quantized
from fjdl.typing import Array, Bool, Float, Int, Number, typed

_ROWS = 128  # inputs whose losses are passed on at once to the inputs after them


@typed
def gptq_quantize(
    kernel: Float[Array, "*window d_in d_out"],
    moments: Float[Array, "..."],
    grid: Grid,
    *,
    damping: Number = 0.01,
    activation_order: bool = False,
) -> Quantized:
    """`kernel` on the grid, rounded input by input so that the outputs on calibration data change little: GPTQ.

    `moments` are those of the inputs, see `input_moments`: `[n, n]` for the n rows of `kernel.reshape(-1, d_out)`, or
    `[groups, n, n]`. With U the upper Cholesky factor of (moments + damping · mean of their diagonal)⁻¹, the row w of
    input i is rounded to q, and U[i, j] · (w − q) / U[i, i] is taken off the row of every later input j. Inputs run in
    the order of the kernel, or with `activation_order` from the largest second moment to the smallest. The weights of
    an input that was always 0 become 0, and it does not count in the mean. Scales stay those of `grid`, for groups of
    inputs too: `grid_of(absmax_quantize(kernel, bits=4, axis=-1, group=32))`. In float32.

    Raises `ValueError` where shapes do not fit, for known NaN and infinities, a negative damping, and where known
    moments are not positive definite after damping; traced ones give a scale of NaN. Frantar et al. 2022,
    arXiv:2210.17323.

    >>> from fjdl.quant import absmax_quantize, dequantize, grid_of
    >>> kernel, moments = jnp.array([[0.4], [0.4], [1.0]]), jnp.ones((3, 3))  # the same input three times
    >>> dequantize(gptq_quantize(kernel, moments, grid_of(absmax_quantize(kernel, bits=2)))).sum(), kernel.sum()
    (Array(2., dtype=float32), Array(1.8, dtype=float32))
    """
    within("[0, inf)", damping=damping)
    refuse_nan(kernel, infinite=True, name="kernel")
    refuse_nan(moments, infinite=True, name="moments")
    damping = jnp.asarray(damping, jnp.float32)
    whole, sound = _rounded_groups(kernel, moments, grid, damping, activation_order=activation_order)
    return from_integers(whole, _marked(on_axes(grid, kernel.shape), sound))


@fused
def _rounded_groups(
    kernel: Array, moments: Array, grid: Grid, damping: Array, *, activation_order: bool
) -> tuple[Array, Array]:
    """The integers, and whether the moments of all groups were positive definite after damping."""
    grid, wide = on_axes(grid, kernel.shape), jnp.asarray(kernel).astype(jnp.float32)
    of_weights = jax.tree.map(lambda s: by_group(jnp.broadcast_to(spread(s, wide.shape), wide.shape), moments), grid)
    rows = by_group(wide, moments)
    squares = jnp.asarray(moments).astype(jnp.float32).reshape(rows.shape[0], *moments.shape[-2:])
    one = partial(_rounded_rows, damping=damping, activation_order=activation_order)
    whole, sound = jax.vmap(one)(rows, of_weights, squares)
    return from_groups(whole, wide.shape), jnp.all(sound)


def _rounded_rows(
    rows: Float[Array, "n m"], grid: Grid, moments: Float[Array, "n n"], *, damping: Array, activation_order: bool
) -> tuple[Int[Array, "n m"], Bool[Array, ""]]:
    """The integers, and whether the moments could be inverted; the grid has an entry for each weight."""
    diagonal = jnp.diagonal(moments)
    live = diagonal > 0
    order = jnp.argsort(diagonal, descending=True) if activation_order else jnp.arange(diagonal.size)
    factor = _inverse_factor(_damped(moments, live, damping)[order][:, order])
    sorted_grid = jax.tree.map(lambda part: part[order], grid)
    whole = _in_blocks(jnp.where(live[:, None], rows, 0.0)[order], sorted_grid, factor)
    return whole[jnp.argsort(order)], jnp.all(jnp.isfinite(factor))


def _damped(moments: Float[Array, "n n"], live: Bool[Array, "n"], damping: Array) -> Float[Array, "n n"]:
    """The moments with more on the diagonal; an input that was always 0 gets the mean of the others."""
    mean = jnp.sum(jnp.diagonal(moments)) / jnp.maximum(jnp.sum(live), 1).astype(jnp.float32)
    mean = jnp.where(jnp.any(live), mean, 1.0)
    return moments + jnp.diag(jnp.where(live, damping * mean, mean))


def _inverse_factor(moments: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The upper U with Uᵀ · U = moments⁻¹: the inverse of the upper R with R · Rᵀ = moments."""
    upper = jnp.linalg.cholesky(moments[::-1, ::-1])[::-1, ::-1]
    return jnp.triu(solve_triangular(upper, jnp.eye(upper.shape[0], dtype=upper.dtype), lower=False))


def _in_blocks(rows: Float[Array, "n m"], grid: Grid, factor: Float[Array, "n n"]) -> Int[Array, "n m"]:
    """Blocks of rows in turn, after each of which what is left of the losses is passed on in one product."""
    n = rows.shape[0]
    size = min(n, _ROWS)
    more = -n % size
    rows = jnp.pad(rows, ((0, more), (0, 0)))
    grid = jax.tree.map(lambda part: jnp.pad(part, ((0, more), (0, 0)), constant_values=1), grid)
    factor = jnp.eye(n + more, dtype=factor.dtype).at[:n, :n].set(factor)
    blocks = jax.tree.map(lambda part: part.reshape(-1, size, part.shape[-1]), (grid, factor))

    def block(rows: Array, xs: tuple[Array, Grid, Array]) -> tuple[Array, Array]:
        start, scales, lines = xs
        own = jax.lax.dynamic_slice_in_dim(rows, start, size)
        within_block = jax.lax.dynamic_slice_in_dim(lines, start, size, axis=1)
        _, (whole, losses) = scan(_round_row, own, (jnp.arange(size), scales, within_block))
        return rows - jnp.matmul(lines.T, losses, precision="highest"), whole

    _, whole = scan(block, rows, (jnp.arange(0, n + more, size), *blocks))
    return whole.reshape(n + more, -1)[:n]


def _round_row(rows: Array, xs: tuple[Array, Grid, Array]) -> tuple[Array, tuple[Array, Array]]:
    """Rounds one row and takes its loss off the later ones; gives the integers and the loss over U[i, i]."""
    i, grid, line = xs
    whole = rounded(rows[i], grid)
    real = whole.astype(jnp.float32) - (0.0 if grid.zero_point is None else grid.zero_point)
    loss = (rows[i] - real * grid.scale) / line[i]
    return rows - line[:, None] * loss[None], (whole, loss)


def _marked(grid: Grid, sound: Bool[Array, ""]) -> Grid:
    """The grid; where it was not sound an error, or a scale of NaN if that is traced."""
    if not isinstance(sound, Tracer) and not bool(sound):
        raise ValueError("moments must be positive definite once damping is added, got some that are not: damp more")
    return Grid(jnp.where(sound, grid.scale, jnp.nan), grid.zero_point, grid.bits)
