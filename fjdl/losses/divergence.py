"""Entropies and divergences of distributions along the last axis, in nats."""

import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.numerics import accumulate, log_softmax
from fjdl.typing import Array, Float, typed


@typed
@fused
def entropy(p: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """Entropy of each distribution, in nats: `-Σ_k p_k log p_k`, the information that one draw gives on average.

    In [0, log k]: 0 where one outcome is certain, log k where all are equally likely. 0 · log 0 is 0, with gradient 0
    in the place of the infinite one. A negative probability gives NaN. Shannon 1948. Equals `scipy.stats.entropy`.
    """
    p = accumulate(p)
    return -jnp.sum(p * jnp.log(jnp.where(p == 0, 1, p)), axis=-1)


@typed
@fused
def kl_divergence(logits: Float[Array, "*batch k"], targets: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence of predictions from targets, in nats: `Σ_k t_k (log t_k - log softmax(logits)_k)`.

    Log-probabilities are logits, too. It is `soft_cross_entropy` less the entropy of the targets, never negative but
    for rounding, and 0 where both agree. A target of 0 costs nothing whatever its logit, with gradient 0; a positive
    one at a logit of -inf costs inf. A row of -inf has value and gradient 0.
    Kullback & Leibler 1951. Equals `torch.nn.functional.kl_div(reduction="none").sum(-1)` of log-probabilities.
    """
    logits, targets = accumulate(logits), accumulate(targets)
    has_mass = (targets != 0) & (jnp.max(logits, axis=-1, keepdims=True, initial=-jnp.inf) > -jnp.inf)
    t = jnp.where(has_mass, targets, 1)
    log_p = jnp.where(has_mass, log_softmax(logits, -1), 0)
    return jnp.sum(jnp.where(has_mass, t * (jnp.log(t) - log_p), 0), axis=-1)


@typed
@fused
def js_divergence(p: Float[Array, "*batch k"], q: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """Jensen-Shannon divergence of two distributions, in nats: `(KL(p, m) + KL(q, m)) / 2` from their mean `m`.

    Symmetric, in [0, log 2]: 0 where both are equal, log 2 where they share no outcome. 0 · log 0 is 0, with gradient
    0 there. Lin 1991. Equals `scipy.spatial.distance.jensenshannon(p, q) ** 2`.
    """
    p, q = accumulate(p), accumulate(q)
    return 0.5 * jnp.sum(_from_mean(p, q) + _from_mean(q, p), axis=-1)


def _from_mean(p: Float[Array, "*shape"], q: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`p log(2p / (p + q))`, and 0 where p is 0."""
    has_mass = p != 0
    a, b = jnp.where(has_mass, p, 1), jnp.where(has_mass, q, 0)
    return jnp.where(has_mass, a * jnp.log1p((a - b) / (a + b)), 0)
