"""Focal losses on logits, in nats: cross entropies in which examples that are right already count less."""

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from fjdl.losses.labels import bounded, nan_unless, one_hot
from fjdl.losses.weights import example_weights
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Integer, Number, typed


@typed
@fused
def sigmoid_focal_loss(
    logits: Float[Array, "*shape"], targets: Float[Array, "*shape"], *, gamma: Number = 2.0, alpha: Number | None = None
) -> Float[Array, "*shape"]:
    """Binary focal loss, in nats, one per logit: `-α_t (1 - p_t)^gamma log p_t`, where `p_t` is that of the target.

    `α_t` is `alpha` for targets of 1, `1 - alpha` for targets of 0 and 1 without `alpha`; targets between weigh both.
    `gamma` 0 is `sigmoid_cross_entropy`. Value and gradient are finite for every finite logit; a logit of ±inf costs 0
    where the target agrees with it and inf where it does not. Lin et al. 2017, arXiv:1708.02002. Equals
    `torchvision.ops.sigmoid_focal_loss`, whose `alpha` is 0.25 by default.

    >>> sigmoid_focal_loss(jnp.array([0.0, 100.0]), jnp.array([1.0, 1.0]))
    Array([0.1732..., 0.       ], dtype=float32)
    """
    within("[0, inf]", gamma=gamma)
    within("[0, 1]", alpha=alpha)
    targets = widened(targets)
    values = _power(_miss(widened(logits), targets), gamma) * sigmoid_cross_entropy(logits, targets)
    return values if alpha is None else values * (alpha * targets + (1 - alpha) * (1 - targets))


@typed
@fused
def softmax_focal_loss(
    logits: Float[Array, "*batch k"],
    labels: Integer[Array, "*batch"],
    *,
    gamma: Number = 2.0,
    alpha: Float[Array, " k"] | None = None,
) -> Float[Array, "*batch"]:
    """Focal loss of integer labels, in nats, one per example: `-α_y (1 - p_y)^gamma log p_y`, `p = softmax(logits)`.

    `alpha` holds the α of each class, 1 without it; `gamma` 0 is `softmax_cross_entropy`, whose edges it shares: a
    label outside [0, k) has value and gradient NaN, and a row of -inf costs 0.
    Lin et al. 2017, arXiv:1708.02002. Equals `(1 - exp(-ce)) ** gamma * ce` of PyTorch's cross entropy.

    >>> softmax_focal_loss(jnp.array([[0.0, 0.0]]), jnp.array([0]))
    Array([0.1732...], dtype=float32)
    """
    within("[0, inf]", gamma=gamma)
    in_range, _ = one_hot(labels, logits.shape[-1])
    safe = jnp.where(in_range, labels, 0)
    nats = softmax_cross_entropy(logits, safe)
    values = _power(-jnp.expm1(-bounded(nats)), gamma) * nats
    return nan_unless(in_range, values if alpha is None else values * example_weights(safe, alpha))


def _miss(logits: Float[Array, "*shape"], targets: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`1 - p_t = (1 - t) σ(x) + t σ(-x)`, without cancellation."""
    positive = logits > 0
    small = jnp.exp(-bounded(jnp.where(positive, logits, -logits)))
    return jnp.where(positive, 1 - targets + targets * small, (1 - targets) * small + targets) / (1 + small)


def _power(x: Float[Array, "*shape"], exponent: Number) -> Float[Array, "*shape"]:
    """`x ** exponent` for x in [0, 1], with gradient 0 at 0 where the exponent is a fraction."""
    if isinstance(exponent, int | float) and float(exponent).is_integer():
        return jax.lax.integer_pow(x, int(exponent))
    positive = x > 0
    at_zero = 0 if isinstance(exponent, int | float) else jnp.where(exponent == 0, 1.0, 0.0).astype(x.dtype)
    return jnp.where(positive, jnp.exp(exponent * jnp.log(jnp.where(positive, x, 1))), at_zero)
