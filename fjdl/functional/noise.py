"""Noise on weights and activations in training. Prediction uses no noise and needs no correction."""

import math

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.functional.dropout import dropout
from fjdl.functional.linear import linear
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Number, PRNGKey, typed


@typed
def drop_connect(
    key: PRNGKey,
    x: Float[Array, "*batch d_in"],
    kernel: Float[Array, "d_in d_out"],
    bias: Float[Array, "d_out"] | None = None,
    *,
    rate: Number,
) -> Float[Array, "*batch d_out"]:
    """`x @ (kernel · mask / (1 - rate)) + bias`, each weight set to 0 with probability `rate`, in the dtype of `x`.

    One mask serves the whole batch; `vmap` over keys and examples gives each example its own. The expectation is
    `linear(x, kernel, bias)`, which is the prediction; Wan et al. 2013 (DropConnect) instead leave kept weights as
    they are and sample from a normal distribution of matching moments at prediction. `rate` 1 gives `bias`.
    Raises `ValueError` for a rate outside [0, 1].
    """
    return linear(x, dropout(key, kernel, rate=rate), bias)


@typed
def gaussian_noise(key: PRNGKey, x: Float[Array, "*shape"], *, deviation: Number) -> Float[Array, "*shape"]:
    """`x + deviation · z` with standard normal z, in the dtype of `x`.

    Raises `ValueError` for a deviation that is negative or not finite.
    """
    within("[0, inf)", deviation=deviation)
    return (widened(x) + deviation * _normal(key, x)).astype(x.dtype)


@typed
def gaussian_dropout(key: PRNGKey, x: Float[Array, "*shape"], *, rate: Number) -> Float[Array, "*shape"]:
    """`x · (1 + √(rate / (1 - rate)) · z)` with standard normal z, in the dtype of `x`.

    Mean and variance are those of `dropout` (Srivastava et al. 2014, JMLR 15, §10). Raises `ValueError` for a rate
    outside [0, 1), where 1 would need infinite noise.
    """
    within("[0, 1)", rate=rate)
    return (widened(x) * (1 + _ratio(rate) * _normal(key, x))).astype(x.dtype)


def _ratio(rate: Number) -> Number:
    """√(rate / (1 - rate)), with zero gradient at 0."""
    if isinstance(rate, int | float):
        return math.sqrt(rate / (1 - rate))
    return jnp.where(rate == 0, 0, jnp.sqrt(jnp.where(rate == 0, 1, rate) / (1 - rate)))


def _normal(key: PRNGKey, x: Array) -> Array:
    return jax.random.normal(key, x.shape, widened(x).dtype)
