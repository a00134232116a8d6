"""Entropies and divergences of distributions along the last axis, in nats."""

from functools import reduce

import jax.numpy as jnp
import numpy as np

from fjdl.checks import known
from fjdl.fused import fused
from fjdl.numerics import log_softmax, widened
from fjdl.typing import Array, Bool, Float, typed


@typed
@fused
def entropy(p: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """Entropy of each distribution, in nats: `-Σ_k p_k log p_k`, the information that one draw gives on average.

    In [0, log k]: 0 where one outcome is certain, log k where all are equally likely. 0 · log 0 is 0, with gradient 0
    in the place of the infinite one. A negative probability gives NaN. Shannon 1948. Equals `scipy.stats.entropy`.

    >>> entropy(jnp.array([[0.5, 0.5]]))
    Array([0.6931...], dtype=float32)
    """
    p = widened(p)
    return -jnp.sum(p * jnp.log(jnp.where(p == 0, 1, p)), axis=-1)


@typed
def kl_divergence(p: Float[Array, "*batch k"], q: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence of the distribution `p` from `q`, in nats: `Σ_k p_k log(p_k / q_k)`.

    Both hold probabilities. 0 where both are equal, never negative but for rounding, inf where `p` has an outcome that
    `q` has not. A `p_k` of 0 costs nothing whatever `q_k` is, with gradient 0. A negative probability gives NaN.
    Raises `ValueError` for a concrete `p` with a negative entry or a row whose sum is not 1 to within 0.05: logits and
    log-probabilities are for `kl_divergence_with_logits`. A traced `p` is not checked.
    Kullback & Leibler 1951. Equals `scipy.special.rel_entr(p, q).sum(-1)`.

    >>> kl_divergence(jnp.array([[1.0, 0.0]]), jnp.array([[0.5, 0.5]]))
    Array([0.6931...], dtype=float32)
    """
    _refuse_logits(p)
    return _relative_entropy(p, q)


@typed
@fused
def kl_divergence_with_logits(
    logits: Float[Array, "*batch k"], targets: Float[Array, "*batch k"]
) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence of predictions from targets, in nats: `Σ_k t_k (log t_k - log softmax(logits)_k)`.

    Log-probabilities are logits, too. It is `soft_cross_entropy` less the entropy of the targets, never negative but
    for rounding, and 0 where both agree; it is `kl_divergence(targets, softmax(logits))`, whose order is the other one.
    A target of 0 costs nothing whatever its logit, with gradient 0; a positive one at a logit of -inf costs inf. A row
    of -inf has value and gradient 0.
    Kullback & Leibler 1951. Equals `torch.nn.functional.kl_div(reduction="none").sum(-1)` of log-probabilities.

    >>> kl_divergence_with_logits(jnp.array([[0.0, 0.0]]), jnp.array([[1.0, 0.0]]))
    Array([0.6931...], dtype=float32)
    """
    logits, targets = widened(logits), widened(targets)
    has_mass = (targets != 0) & (jnp.max(logits, axis=-1, keepdims=True, initial=-jnp.inf) > -jnp.inf)
    t = jnp.where(has_mass, targets, 1)
    log_p = jnp.where(has_mass, log_softmax(logits, -1), 0)
    return jnp.sum(jnp.where(has_mass, t * (jnp.log(t) - log_p), 0), axis=-1)


@typed
@fused
def generalized_kl_divergence(p: Float[Array, "*batch k"], q: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """Generalized Kullback-Leibler divergence of amounts, in nats: `Σ_k (p_k log(p_k / q_k) - p_k + q_k)`.

    `p` and `q` are not negative and of any sum, such as counts and their rates; of distributions it is
    `kl_divergence`. 0 where both are equal and positive elsewhere, to full relative precision where they are close; inf
    where `q` alone is 0. A `p_k` of 0 costs `q_k`, with gradient 0 to itself. Half of the Poisson deviance; the
    divergence of non-negative matrix factorization (Lee & Seung 2001). Equals `scipy.special.kl_div(p, q).sum(-1)`.

    >>> generalized_kl_divergence(jnp.array([[0.0, 2.0]]), jnp.array([[3.0, 2.0]]))
    Array([3.], dtype=float32)
    """
    p, q = widened(p), widened(q)
    has_mass = p != 0
    a, b = jnp.where(has_mass, p, 1), jnp.where(has_mass, q, 1)
    return jnp.sum(jnp.where(has_mass, _excess(a, b), q), axis=-1)


@typed
@fused
def js_divergence(p: Float[Array, "*batch k"], q: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """Jensen-Shannon divergence of two distributions, in nats: `(KL(p, m) + KL(q, m)) / 2` from their mean `m`.

    Symmetric, in [0, log 2]: 0 where both are equal, log 2 where they share no outcome. 0 · log 0 is 0, with gradient
    0 there. Lin 1991. Equals `scipy.spatial.distance.jensenshannon(p, q) ** 2`.

    >>> js_divergence(jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]]))
    Array([0.6931...], dtype=float32)
    """
    p, q = widened(p), widened(q)
    return 0.5 * jnp.sum(_from_mean(p, q) + _from_mean(q, p), axis=-1)


def _from_mean(p: Float[Array, "*shape"], q: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`p log(2p / (p + q))`, and 0 where p is 0."""
    has_mass = p != 0
    a, b = jnp.where(has_mass, p, 1), jnp.where(has_mass, q, 0)
    return jnp.where(has_mass, a * jnp.log1p((a - b) / (a + b)), 0)


@fused
def _relative_entropy(p: Float[Array, "*batch k"], q: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    p, q = widened(p), widened(q)
    has_mass = p != 0
    a, b = jnp.where(has_mass, p, 1), jnp.where(has_mass, q, 1)
    near, c, d = _if_near(a, b)
    log_ratio = jnp.where(near, jnp.log1p((c - d) / d), _log(a, unless=near) - _log(b, unless=near))
    return jnp.sum(jnp.where(has_mass, a * log_ratio, 0), axis=-1)


def _excess(a: Float[Array, "*shape"], b: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`a log(a / b) - a + b` of positive numbers; the logarithm of close ones is `2 atanh((a - b) / (a + b))`."""
    near, c, d = _if_near(a, b)
    t = (c - d) / (c + d)
    close = (c - d) * t + 2 * c * _atanh_less_itself(t)
    return jnp.where(near, close, a * (_log(a, unless=near) - _log(b, unless=near)) - a + b)


def _atanh_less_itself(t: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`atanh(t) - t` for |t| ≤ 1/3, by the series `t³/3 + t⁵/5 + …`."""
    square, last = jnp.square(t), 31 if t.dtype == jnp.float64 else 15
    return t * square * reduce(lambda total, n: total * square + 1 / n, range(last, 1, -2), jnp.zeros_like(t))


def _if_near(a: Array, b: Array) -> tuple[Bool[Array, "*shape"], Array, Array]:
    """Whether neither is twice the other, and both where it is so; 1 elsewhere."""
    near = (a < 2 * b) & (b < 2 * a)
    return near, jnp.where(near, a, 1), jnp.where(near, b, 1)


def _log(x: Float[Array, "*shape"], *, unless: Bool[Array, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.log(jnp.where(unless, 1, x))


def _refuse_logits(p: Float[Array, "*batch k"]) -> None:
    values = known(p)
    if values is None or not values.size:
        return
    values = np.asarray(values, np.float64)
    sums = values.sum(axis=-1, keepdims=True)
    negative, off = values[values < 0], sums[np.abs(sums - 1) > 0.05]
    if negative.size or off.size:
        found = f"an entry {negative[0]:.4g}" if negative.size else f"a row of sum {off[0]:.4g}"
        raise ValueError(f"p must hold probabilities, got {found}; kl_divergence_with_logits takes logits")
