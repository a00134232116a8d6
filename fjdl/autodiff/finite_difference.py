"""Numerical gradients: how a scalar function changes when its argument does."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.typing import Array, Float, Scalar, typed

ScalarFunction = Callable[[Array], Array]


@typed
def forward_difference(
    function: ScalarFunction, x: Float[Array, "*shape"], *, step: float | None = None
) -> Float[Array, "*shape"]:
    """`(f(x + h) - f(x)) / h` for each coordinate, with an error of order h.

    Half of the digits at best: `step` is √ε of the dtype by default, where truncation and rounding balance. Raises
    `ValueError` for a step that is not positive.
    """
    h = _step(step, x, order=2)
    value = function(x)
    return _each_coordinate(x, lambda unit: (function(x + h * unit) - value) / h)


@typed
def central_difference(
    function: ScalarFunction, x: Float[Array, "*shape"], *, step: float | None = None
) -> Float[Array, "*shape"]:
    """`(f(x + h) - f(x - h)) / 2h` for each coordinate, with an error of order h².

    Two thirds of the digits at best: `step` is ∛ε of the dtype by default. Raises `ValueError` for a step that is not
    positive.
    """
    return _each_coordinate(x, lambda unit: directional_difference(function, x, unit, step=step))


@typed
def directional_difference(
    function: ScalarFunction, x: Float[Array, "*shape"], direction: Float[Array, "*shape"], *, step: float | None = None
) -> Scalar:
    """The derivative of `function` at `x` along `direction`, by the central difference; two calls whatever the size."""
    h = _step(step, x, order=3)
    return (function(x + h * direction) - function(x - h * direction)) / (2 * h)


def _each_coordinate(x: Array, slope: Callable[[Array], Array]) -> Array:
    units = jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
    return jax.lax.map(slope, units).reshape(x.shape)


def _step(step: float | None, x: Array, *, order: int) -> float:
    within("(0, inf]", step=step)
    return step if step is not None else float(jnp.finfo(x.dtype).eps) ** (1 / order)
