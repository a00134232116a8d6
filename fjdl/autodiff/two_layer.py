"""A binary classifier with one hidden layer, its forward and backward pass written out for a whole batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.typing import Array, Float, Scalar, typed


class TwoLayer(NamedTuple):
    """Parameters of `ŷ = σ(tanh(x W₁ + b₁) W₂ + b₂)`, or their gradients."""

    kernel1: Array  # [features, hidden]
    bias1: Array  # [hidden]
    kernel2: Array  # [hidden, 1]
    bias2: Array  # [1]


@typed
def predict(params: TwoLayer, x: Float[Array, "n features"]) -> Float[Array, " n"]:
    """The probability of class 1 for each example."""
    return jax.lax.logistic(_hidden(params, x) @ params.kernel2 + params.bias2[None])[:, 0]


@typed
def cost(params: TwoLayer, x: Float[Array, "n features"], targets: Float[Array, " n"]) -> Scalar:
    """Mean binary cross entropy in nats, `-1/n Σ (y log ŷ + (1 - y) log(1 - ŷ))`, taken from the logits."""
    logits = (_hidden(params, x) @ params.kernel2 + params.bias2[None])[:, 0]
    return jnp.mean(jnp.logaddexp(logits, 0.0) - targets * logits)


@typed
def gradient(params: TwoLayer, x: Float[Array, "n features"], targets: Float[Array, " n"]) -> TwoLayer:
    """The gradient of `cost`, written out: `dZ₂ = (ŷ - y)/n`, `dZ₁ = (dZ₂ W₂ᵀ) ⊙ (1 - tanh² Z₁)`."""
    hidden = _hidden(params, x)
    error2 = (predict(params, x) - targets)[:, None] / x.shape[0]
    error1 = (error2 @ params.kernel2.T) * (1 - hidden * hidden)
    return TwoLayer(x.T @ error1, jnp.sum(error1, axis=0), hidden.T @ error2, jnp.sum(error2, axis=0))


def _hidden(params: TwoLayer, x: Array) -> Array:
    return jnp.tanh(x @ params.kernel1 + params.bias1[None])
