"""Cross entropies of probabilities, in nats. Cross entropies of logits lose no digits and are better to train with.

Predictions below `eps` count as `eps`, which keeps every value below `-log eps` and every gradient below `1 / eps`;
targets are never clipped. `1 - p` is exact in float32 where it is small, so an `eps` far below its rounding is safe.
"""

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.losses.labels import at_label, nan_unless, one_hot
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Integer, Number, typed


@typed
@fused
def binary_cross_entropy(
    predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"], *, eps: Number = 1e-12
) -> Float[Array, "*shape"]:
    """Binary cross entropy, in nats, one per prediction: `-(t log p + (1 - t) log(1 - p))`.

    Targets `t` lie in [0, 1]. Predictions `p` are clipped to [eps, 1 - eps], with gradient 0 beyond. Equals
    `torch.nn.functional.binary_cross_entropy(reduction="none")` between the clips.

    >>> binary_cross_entropy(jnp.array([0.5]), jnp.array([1.0]))
    Array([0.6931...], dtype=float32)
    """
    within("(0, 0.5)", eps=eps)
    predictions, targets = widened(predictions), widened(targets)
    return -(targets * _log(predictions, eps) + (1 - targets) * _log(1 - predictions, eps))


@typed
@fused
def categorical_cross_entropy(
    predictions: Float[Array, "*batch k"], targets: Float[Array, "*batch k"], *, eps: Number = 1e-12
) -> Float[Array, "*batch"]:
    """Cross entropy of target distributions, in nats, one per example: `-Σ_k t_k log p_k`, with each `p_k ≥ eps`.

    A prediction below `eps` has gradient 0. Neither predictions nor targets are scaled to sum 1. Equals
    `sklearn.metrics.log_loss` of one example, and `soft_cross_entropy` of log-probabilities.

    >>> categorical_cross_entropy(jnp.array([[0.5, 0.5]]), jnp.array([[1.0, 0.0]]))
    Array([0.6931...], dtype=float32)
    """
    within("(0, 0.5)", eps=eps)
    return -jnp.sum(widened(targets) * _log(widened(predictions), eps), axis=-1)


@typed
@fused
def sparse_categorical_cross_entropy(
    predictions: Float[Array, "*batch k"], labels: Integer[Array, "*batch"], *, eps: Number = 1e-12
) -> Float[Array, "*batch"]:
    """Cross entropy of integer labels, in nats, one per example: `-log p[label]`, with `p ≥ eps`.

    A prediction below `eps` has gradient 0. A label outside [0, k) has value and gradient NaN, as in
    `softmax_cross_entropy`. Equals `torch.nn.functional.nll_loss(log(p), reduction="none")` above `eps`.

    >>> sparse_categorical_cross_entropy(jnp.array([[0.5, 0.5]]), jnp.array([0]))
    Array([0.6931...], dtype=float32)
    """
    within("(0, 0.5)", eps=eps)
    in_range, hits = one_hot(labels, predictions.shape[-1])
    return nan_unless(in_range, -_log(at_label(widened(predictions), in_range, hits), eps))


def _log(p: Float[Array, "*shape"], eps: Number) -> Float[Array, "*shape"]:
    return jnp.log(jnp.where(p < eps, eps, p))
