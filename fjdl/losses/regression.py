"""Regression losses, one value per example."""

import jax.numpy as jnp

from fjdl.numerics import accumulate
from fjdl.typing import Array, Float, typed


@typed
def mse(predictions: Float[Array, "*batch d"], targets: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """Mean squared error over the last axis, in squared units of the targets, one per example: `1/d Σ (y - ŷ)²`.

    The last axis always holds the features of one example, so a scalar regression has shape (n, 1).
    Differences are taken in float32; beyond 1.8e19 their square is inf. With no features the mean is NaN.
    Equals `torch.nn.functional.mse_loss(reduction="none").mean(-1)`.
    """
    return jnp.mean(jnp.square(accumulate(predictions) - accumulate(targets)), axis=-1)
