"""The loss that belongs to `functional.sparsemax`, as cross entropy belongs to the softmax."""

from typing import Any

import jax
import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.losses.labels import largest, nan_unless, one_hot
from fjdl.numerics import below_largest, nearest_on_simplex, sparsemax, widened
from fjdl.typing import Array, Bool, Float, Integer, typed


@typed
@fused
def sparsemax_loss(logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Sparsemax loss of integer labels, one per example: `-x_y + ½ Σ_{p_j > 0} (x_j² - τ²) + ½`, `p = sparsemax(x)`.

    `τ` is the threshold of the sparsemax, so that `p = max(x - τ, 0)`. The gradient is `p` less the one-hot vector: the
    loss is 0, with gradient 0, once the label's logit leads all others by 1. Never negative and convex. A label outside
    [0, k) has value and gradient NaN, as in `softmax_cross_entropy`; a row whose logits are all -inf costs 0, and a
    logit of -inf at the label inf. Of logits `[0, x]` it is the binary loss of `x`.
    Martins & Astudillo 2016, arXiv:1602.02068. Equals `optax.losses.multiclass_sparsemax_loss`, and of `[0, x]`
    `optax.losses.sparsemax_loss`.

    >>> sparsemax_loss(jnp.array([[3.0, 0.0], [0.0, 0.0]]), jnp.array([0, 0]))
    Array([0.  , 0.25], dtype=float32)
    """
    in_range, hits = one_hot(labels, logits.shape[-1])
    return nan_unless(in_range, _regret(widened(logits), hits))


@jax.custom_jvp
def _regret(logits: Float[Array, "*batch k"], hits: Bool[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """`½ |p - y|² + max(τ - x_y, 0)`, the same sum without a cancellation."""
    x = below_largest(logits, axis=-1)
    p, threshold = nearest_on_simplex(x, axis=-1)
    own = jnp.sum(jnp.where(hits, x, 0), axis=-1)
    distance = 0.5 * jnp.sum(jnp.square(jnp.where(hits, 1 - p, p)), axis=-1)
    missing = jnp.maximum(threshold[..., 0] - own, 0)
    return jnp.where(largest(logits)[..., 0] == -jnp.inf, 0, distance + missing)


@_regret.defjvp
def _regret_jvp(primals: tuple[Array, Array], tangents: tuple[Any, Any]) -> tuple[Array, Array]:
    logits, hits = primals
    slope = jnp.where(jnp.isinf(largest(logits)), 0, sparsemax(logits, -1) - hits.astype(logits.dtype))
    return _regret(logits, hits), jnp.sum(slope * tangents[0], axis=-1)
