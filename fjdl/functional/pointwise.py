"""Functions of single numbers: a derivative that is stated instead of derived, and parameters of channels."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fjdl.numerics import accumulate, wide
from fjdl.typing import Array, Float, typed


@typed
def pointwise(
    x: Float[Array, "*shape"], *, value: Callable[[Array], Array], slope: Callable[[Array], Array]
) -> Float[Array, "*shape"]:
    """`value(x)` with the derivative `slope(x)`, computed in float32 and rounded once to the dtype of `x`.

    The slope is differentiated in turn where a second derivative is asked for, so it has to be differentiable and
    finite everywhere. Where it is written unlike the value (it usually clips `x` first), XLA computes each in one pass
    over memory instead of storing what they share.
    """

    @jax.custom_jvp
    def function(x: Array) -> Array:
        return value(accumulate(x)).astype(x.dtype)

    @function.defjvp
    def derivative(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        (x,), (tangent,) = primals, tangents
        return function(x), (slope(accumulate(x)) * accumulate(tangent)).astype(x.dtype)

    return function(x)


@typed
def over_channels(
    parameter: float | Float[Array, ""] | Float[Array, "c"], x: Float[Array, "*shape"]
) -> Float[Array, "..."]:
    """The parameter as an array that broadcasts with `x`, whose last axis holds its channels, in the dtype of sums.

    Raises `ValueError` unless it is one number, or has one for each channel.
    """
    parameter = jnp.asarray(parameter, wide(x.dtype))
    if parameter.ndim and parameter.shape != x.shape[-1:]:
        raise ValueError(
            f"the parameter must be one number or one for each channel of x, of shape {x.shape}, got {parameter.shape}"
        )
    return parameter.reshape((1,) * (x.ndim - parameter.ndim) + parameter.shape)
