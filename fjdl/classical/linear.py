"""Linear regression: the affine map that comes closest to the targets."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.numerics import full_product, widened
from fjdl.typing import Array, Float, Inexact, typed


class Linear(NamedTuple):
    """An affine map `x @ weights + bias`, with one output per column of the weights."""

    weights: Array  # [d, k]
    bias: Array  # [k]


@typed
def decision(params: Linear, x: Float[Array, "n d"]) -> Inexact[Array, "n k"]:
    """The map's outputs: predictions of a regression, logits of a classifier."""
    return full_product(x, params.weights) + params.bias[None]


@typed
def zeros(inputs: int, outputs: int) -> Linear:
    """The map to 0, where descent starts: for a linear model all units differ by their targets alone."""
    return Linear(jnp.zeros((inputs, outputs)), jnp.zeros(outputs))


@typed
def normal_equations(x: Float[Array, "n d"], y: Float[Array, "n k"], *, l2: float = 0.0) -> Linear:
    """The minimum of `‖y - xW - b‖² + l2 ‖W‖²`, the bias unpenalized: `W = (XᵀX + l2 I)⁻¹ XᵀY` of centred data.

    Least squares (Gauss 1809), for `l2 > 0` ridge regression (Hoerl & Kennard 1970). Where features are collinear and
    `l2` is 0, the map of smallest norm. Equals scikit-learn's `LinearRegression` and `Ridge`. Raises `ValueError` for a
    negative `l2`.
    """
    within("[0, inf]", l2=l2)
    x, y = widened(x), widened(y)
    mean_x, mean_y = jnp.mean(x, axis=0, keepdims=True), jnp.mean(y, axis=0, keepdims=True)
    u, s, vt = jnp.linalg.svd(x - mean_x, full_matrices=False)
    kept = s > jnp.finfo(x.dtype).eps * max(x.shape) * s[0]
    gain = jnp.where(kept, s / jnp.where(kept, s * s + l2, 1), 0)
    weights = full_product(vt.T, gain[:, None] * full_product(u.T, y - mean_y))
    return Linear(weights, (mean_y - full_product(mean_x, weights))[0])


@typed
def squared_error(params: Linear, x: Float[Array, "n d"], y: Float[Array, "n k"]) -> Float[Array, " n"]:
    """The squared distance of each prediction to its target, whose mean over the data is the cost of least squares."""
    return jnp.sum(jnp.square(decision(params, x) - y), axis=-1)
