"""Activation functions, each in the dtype of its input."""

import jax
import jax.numpy as jnp

from fjdl.numerics import accumulate, below_largest, safe_divide
from fjdl.typing import Array, Float, typed


@typed
def identity(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`x` itself, the activation of a linear layer; equals `torch.nn.Identity`."""
    return x


@typed
def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`max(x, 0)`, with gradient 0 at 0; a NaN stays NaN.

    Nair & Hinton 2010. Equals `torch.nn.functional.relu`.
    """
    return jnp.where(x <= 0, 0, x)


@typed
def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Hyperbolic tangent, `(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ) = 2σ(2x) - 1`, in (-1, 1); equals `torch.tanh`."""
    return jnp.tanh(x)


@typed
def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logistic sigmoid, `σ(x) = 1 / (1 + e⁻ˣ)`, in (0, 1).

    Its derivative `σ(x) (1 - σ(x))` is at most 1/4, reached at 0. Equals `torch.sigmoid`.
    """
    return jax.lax.logistic(x)


@typed
def softmax(x: Float[Array, "*shape"], *, axis: int = -1) -> Float[Array, "*shape"]:
    """Probabilities `exp(xᵢ) / Σⱼ exp(xⱼ)` that sum to 1 along `axis`.

    Computed in float32 after subtracting the largest entry, so no entry overflows. Entries of -inf get probability 0;
    a row that is all -inf, as a full mask leaves it, is all 0 with zero gradient, where PyTorch gives NaN. Entries
    of +inf share all probability. Equals `torch.softmax` on finite rows.
    """
    weights = jnp.exp(below_largest(accumulate(x), axis=axis))
    return safe_divide(weights, jnp.sum(weights, axis=axis, keepdims=True)).astype(x.dtype)


@typed
def log_softmax(x: Float[Array, "*shape"], *, axis: int = -1) -> Float[Array, "*shape"]:
    """Log-probabilities `xᵢ - log Σⱼ exp(xⱼ)` along `axis`, in nats: the logarithm of `softmax`, without its underflow.

    Computed in float32. Infinite entries are treated as in `softmax`: a row that is all -inf stays -inf with zero
    gradient. Equals `torch.log_softmax` on finite rows.
    """
    shifted = below_largest(accumulate(x), axis=axis)
    total = jnp.sum(jnp.exp(shifted), axis=axis, keepdims=True)
    return (shifted - jnp.log(jnp.where(total == 0, 1, total))).astype(x.dtype)
