"""Gradient checks: automatic gradients against central differences."""

from typing import NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp

from fjdl import numerics
from fjdl.autodiff.finite_difference import ScalarFunction, central_difference, directional_difference
from fjdl.checks import at_least
from fjdl.typing import Array, Float, PRNGKey, PyTree, Scalar, typed


class GradientCheck(NamedTuple):
    """Both gradients, and `‖g - ĝ‖ / (‖g‖ + ‖ĝ‖)`, which is 0 for equal and 1 for unrelated or opposite ones.

    In float64 a right gradient of a smooth function stays below 1e-7; above 1e-4 something is wrong, or a kink near.
    """

    automatic: Array
    numerical: Array
    relative_error: Array


@typed
def relative_error(a: Float[Array, "*shape"], b: Float[Array, "*shape"]) -> Scalar:
    """`‖a - b‖ / (‖a‖ + ‖b‖)` in [0, 1]; 0 where both are 0."""
    lengths = [numerics.norm(x.reshape(-1), axis=0)[0] for x in (a - b, a, b)]
    return numerics.safe_divide(lengths[0], lengths[1] + lengths[2])


def check_grads(function: ScalarFunction, x: PyTree, *, step: float | None = None) -> GradientCheck:
    """Compares every coordinate of `jax.grad(function)` at the tree `x`: two calls of the function for each.

    Both gradients are flat, in the order of the tree's leaves. Meant for float64 (`jax.enable_x64`).
    """
    flat, unravel = jax.flatten_util.ravel_pytree(x)
    automatic, _ = jax.flatten_util.ravel_pytree(jax.grad(function)(x))
    numerical = central_difference(lambda y: function(unravel(y)), flat, step=step)
    return GradientCheck(automatic, numerical, relative_error(automatic, numerical))


def check_grads_along(
    key: PRNGKey, function: ScalarFunction, x: PyTree, *, directions: int = 4, step: float | None = None
) -> GradientCheck:
    """Compares slopes of `function` at the tree `x` along random unit directions: two calls for each.

    For trees of any size: `automatic` and `numerical` hold one slope per direction. Raises `ValueError` where
    `directions` is not positive.
    """
    at_least(1, directions=directions)
    flat, unravel = jax.flatten_util.ravel_pytree(x)
    gradient, _ = jax.flatten_util.ravel_pytree(jax.grad(function)(x))
    units = numerics.unit(jax.random.normal(key, (directions, flat.size), flat.dtype))
    numerical = jax.lax.map(
        lambda unit: directional_difference(lambda y: function(unravel(y)), flat, unit, step=step), units
    )
    automatic = jnp.sum(units * gradient[None], axis=-1)
    return GradientCheck(automatic, numerical, relative_error(automatic, numerical))
