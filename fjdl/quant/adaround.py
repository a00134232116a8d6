"""Rounding up or down that is learned on calibration data, weight by weight."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.meshes import fori_loop
from fjdl.quant.forms import from_integers, on_axes
from fjdl.quant.grid import Grid, refuse_nan, scale_and_zero
from fjdl.quant.quantized import Quantized
from fjdl.typing import Array, Float, Number, Scalar, typed

_LOW, _HIGH = -0.1, 1.1  # the sigmoid is stretched over this range and limited to [0, 1], which it so reaches


@typed
def adaround(
    kernel: Float[Array, "*shape"],
    grid: Grid,
    error: Callable[[Array, Array], Scalar],
    *,
    optimizer: Any,
    steps: int = 10_000,
    weight: Number = 0.01,
    start_beta: Number = 20.0,
    end_beta: Number = 2.0,
    warmup: Number = 0.2,
) -> Quantized:
    """`kernel` on the grid, each weight rounded down or up as is best for `error`: AdaRound.

    `error(kernel, step)` is the loss of a kernel: `lambda k, _: product_error(kernel, k, moments)`, or, through an
    activation, the mean over examples of the summed squares of what changes in the layer's outputs; `step` counts from
    0, so that a batch can be drawn by it. Integers are ⌊kernel / scale + zero_point⌋ + h, limited to the grid, with
    h = clip(1.2 · sigmoid(v) − 0.1, 0, 1). v starts where h gives `kernel` itself, and `optimizer`, such as
    `optim.adam(1e-2)`, lowers error + weight · Σ (1 − |2h − 1|^beta), which draws h to 0 or 1. The second part is left
    out for the share `warmup` of the steps; then beta falls from `start_beta` to `end_beta` along half a cosine. At the
    end h is rounded. In float32.

    Raises `ValueError` for options out of their range, a scale that does not fit, and a known NaN or infinity. Nagel et
    al. 2020, arXiv:2004.10568.

    >>> from fjdl import optim
    >>> from fjdl.quant import Grid, integers
    >>> kernel, same = jnp.array([0.4, 0.4]), lambda k, step: jnp.square(jnp.sum(k) - 0.8)  # their sum counts alone
    >>> found = adaround(kernel, Grid(jnp.float32(1.0)), same, optimizer=optim.adam(0.05), steps=100)
    >>> integers(found).shape
    (2,)
    """
    at_least(1, steps=steps)
    within("[0, inf)", weight=weight)
    within("[1, inf)", start_beta=start_beta, end_beta=end_beta)
    within("[0, 1)", warmup=warmup)
    refuse_nan(kernel, infinite=True, name="kernel")
    grid, wide = on_axes(grid, kernel.shape), jnp.asarray(kernel).astype(jnp.float32)
    scale, zero = scale_and_zero(grid, wide.shape)
    exact = wide / scale + zero
    below = jnp.floor(exact)

    def loss(v: Array, step: Array) -> Scalar:
        part = _part_up(v)
        soft = (jnp.clip(below + part, *grid.limits) - zero) * scale
        done = (step.astype(jnp.float32) / steps - warmup) / (1 - warmup)
        beta = end_beta + 0.5 * (start_beta - end_beta) * (1 + jnp.cos(jnp.pi * jnp.maximum(done, 0.0)))
        undecided = jnp.sum(1 - jnp.abs(2 * part - 1) ** beta)
        return error(soft, step) + jnp.where(done >= 0, weight, 0.0) * undecided

    def improve(step: Any, carry: tuple[Array, Any]) -> tuple[Array, Any]:
        v, state = carry
        updates, state = optimizer.update(jax.grad(loss)(v, jnp.asarray(step, jnp.int32)), state, v)
        return v + updates, state

    v = jax.scipy.special.logit((exact - below - _LOW) / (_HIGH - _LOW))
    v, _ = fori_loop(0, steps, improve, (v, optimizer.init(v)))
    return from_integers(jnp.clip(below + jnp.round(_part_up(v)), *grid.limits).astype(jnp.int8), grid)


def _part_up(v: Float[Array, "..."]) -> Float[Array, "..."]:
    """How far up from the integer below: the rectified sigmoid."""
    return jnp.clip(jax.nn.sigmoid(v) * (_HIGH - _LOW) + _LOW, 0.0, 1.0)
