"""Cross entropies on logits, in nats, one value per example."""

import jax
import jax.numpy as jnp

from fjdl.numerics import accumulate, below_largest
from fjdl.typing import Array, Bool, Float, Integer, typed


@typed
def softmax_cross_entropy(
    logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"], *, smoothing: float = 0.0
) -> Float[Array, "*batch"]:
    """Cross entropy of integer labels, in nats, one per example: `-log softmax(logits)[label]`.

    `smoothing` in [0, 1) moves that much probability from the label onto the uniform distribution over all `k` classes
    (Szegedy et al. 2016, arXiv:1512.00567, §7). A label outside [0, k) never becomes another class: the value and the
    whole gradient of that example are NaN, and only a mask on the values keeps both out of a mean. Infinite logits are
    treated as in `soft_cross_entropy`.
    Equals `torch.nn.functional.cross_entropy(reduction="none", label_smoothing=smoothing)`.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must lie in [0, 1), got {smoothing}")
    logits, labels, classes = accumulate(logits), _signed(labels), logits.shape[-1]
    in_range = (labels >= 0) & (labels < classes)
    hits = jax.nn.one_hot(jnp.where(in_range, labels, 0), classes, dtype=logits.dtype)
    targets = hits * (1 - smoothing) + smoothing / max(classes, 1)
    return _nan_unless(in_range, _cross_entropy(targets, _log_softmax(logits)))


@typed
def soft_cross_entropy(logits: Float[Array, "*batch k"], targets: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """Cross entropy of target distributions, in nats, one per example: `-Σ_k targets · log softmax(logits)`.

    0 · log 0 is 0, so a logit of -inf costs nothing where the target is 0, and inf where it is not; gradients with
    respect to the logits stay finite. A logit of +inf takes all probability. A row whose logits are all -inf has
    no distribution: its value and gradient are 0, and a mask has to keep it out of the mean.
    Targets are not checked to be non-negative with sum 1. Equals `torch.nn.functional.cross_entropy(reduction="none")`
    with targets of probabilities.
    """
    return _cross_entropy(accumulate(targets), _log_softmax(accumulate(logits)))


@typed
def sigmoid_cross_entropy(logits: Float[Array, "*shape"], targets: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Binary cross entropy, in nats, one per logit: `-(t · log σ(x) + (1 - t) · log σ(-x))` with targets in [0, 1].

    Exact for large logits, without clipping: a logit of ±inf costs 0 where the target agrees with it and inf where
    it does not. Equals `torch.nn.functional.binary_cross_entropy_with_logits(reduction="none")`.
    """
    logits, targets = accumulate(logits), accumulate(targets)
    return _weigh(targets, jax.nn.softplus(-logits)) + _weigh(1 - targets, jax.nn.softplus(logits))


def _cross_entropy(targets: Float[Array, "*batch k"], log_p: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    return jnp.sum(_weigh(targets, -log_p), axis=-1)


def _weigh(weights: Float[Array, "*shape"], values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`weights · values` with 0 · inf = 0."""
    return weights * jnp.where((weights == 0) & jnp.isinf(values), 0.0, values)


def _nan_unless(valid: Bool[Array, "*batch"], values: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """NaN where `values` are not valid, and in their gradient, except where the gradient passed back is exactly 0.

    That exception lets a mask work, and a product with NaN cannot make it. So this is the identity in the form of a
    linear solve, whose transpose can be stated and which `vmap` and forward mode know.
    """

    def solve(_: object, values: Array) -> Array:
        return jnp.where(valid, values, jnp.nan)

    def transpose_solve(_: object, gradient: Array) -> Array:
        return jnp.where(valid | (gradient == 0), gradient, jnp.nan)

    return jax.lax.custom_linear_solve(lambda x: x, values, solve, transpose_solve)


def _signed(labels: Integer[Array, "*batch"]) -> Integer[Array, "*batch"]:
    """Labels in a signed dtype that holds every class number, so that uint8 compares with 1000 classes."""
    labels = jnp.asarray(labels)
    return labels.astype(jnp.int64 if labels.dtype.itemsize == 8 else jnp.int32)


def _log_softmax(logits: Float[Array, "*batch k"]) -> Float[Array, "*batch k"]:
    """Log-probabilities with limits at infinite logits; 0 with zero gradient in a row that is all -inf."""
    shifted = below_largest(logits, axis=-1)
    total = jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True)
    return jnp.where(total == 0, 0.0, shifted - jnp.log(jnp.where(total == 0, 1.0, total)))
