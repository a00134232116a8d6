"""Poly loss: the series of the cross entropy in powers of `1 - p`, with another coefficient of the first power."""

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.losses.classification import softmax_cross_entropy
from fjdl.losses.labels import bounded, nan_unless, one_hot
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Integer, Number, typed


@typed
@fused
def poly_loss(
    logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"], *, epsilon: Number = 2.0
) -> Float[Array, "*batch"]:
    """Poly-1 loss of integer labels, one per example: `-log p_y + epsilon (1 - p_y)`, `p = softmax(logits)`.

    Cross entropy is `Σ_j (1 - p_y)^j / j`; here its first term counts `1 + epsilon` times. `epsilon` is at least -1,
    where that term is gone; 0 is `softmax_cross_entropy`, whose edges it shares: a label outside [0, k) has value and
    gradient NaN, and a row of -inf costs 0. The paper takes 2 for ImageNet and -1 for detection.
    Leng et al. 2022, arXiv:2204.12511. Equals `optax.losses.poly_loss_cross_entropy` of one-hot labels.

    >>> poly_loss(jnp.array([[0.0, 0.0]]), jnp.array([0]), epsilon=2.0)
    Array([1.6931...], dtype=float32)
    """
    within("[-1, inf)", epsilon=epsilon)
    in_range, _ = one_hot(labels, logits.shape[-1])
    nats = softmax_cross_entropy(widened(logits), jnp.where(in_range, labels, 0))
    return nan_unless(in_range, nats - epsilon * jnp.expm1(-bounded(nats)))
