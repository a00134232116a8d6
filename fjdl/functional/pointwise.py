"""Functions of single numbers: a derivative that is stated instead of derived, and parameters of channels."""

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp

from fjdl.numerics import wide, widened
from fjdl.typing import Array, Float, Number, typed


@typed
def pointwise(
    x: Float[Array, "*shape"],
    *parameters: Number,
    value: Callable[..., Array],
    slope: Callable[..., Array],
    sensitivities: tuple[Callable[..., Array], ...] = (),
) -> Float[Array, "*shape"]:
    """`value(x)` with the derivative `slope(x)`, computed in float32 and rounded once to the dtype of `x`.

    All functions take the `parameters` after `x`, which may be traced; one of `sensitivities` is the derivative in each
    of them. The slope is differentiated in turn where a second derivative is asked for, so it has to be differentiable
    and finite everywhere. Where it is written unlike the value (it usually clips `x` first), XLA computes each in one
    pass over memory instead of storing what they share.
    """

    @jax.custom_jvp
    def function(x: Array, *parameters: Array) -> Array:
        return value(widened(x), *parameters).astype(x.dtype)

    def derivative(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        point = widened(primals[0]), *primals[1:]
        moved = [
            term(*point) * widened(tangent)
            for term, tangent in zip((slope, *sensitivities), tangents, strict=True)
            if not absent(tangent)
        ]
        change = reduce(jnp.add, moved) if moved else jnp.zeros_like(point[0])
        return function(*primals), change.astype(primals[0].dtype)

    function.defjvp(derivative, symbolic_zeros=bool(parameters))
    return function(x, *(parameter_of(x, parameter) for parameter in parameters))


@typed
def parameter_of(x: Float[Array, "..."], parameter: Number) -> Number:
    """The parameter in the dtype that sums of `x` are kept in; a number of Python, which costs nothing, stays one."""
    return float(parameter) if isinstance(parameter, int | float) else jnp.asarray(parameter, wide(x.dtype))


@typed
def absent(tangent: object) -> bool:
    """Whether nothing is differentiated by this argument of a derivative that was stated with `symbolic_zeros`."""
    return isinstance(tangent, jax.custom_derivatives.SymbolicZero)


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
