"""Cross entropies on logits, in nats, one value per example."""

import jax
import jax.numpy as jnp

from fjdl.numerics import accumulate, below_largest, signed
from fjdl.typing import Array, Bool, Float, Integer, typed


@typed
def softmax_cross_entropy(
    logits: Float[Array, "*batch k"],
    labels: Integer[Array, "*batch"],
    *,
    smoothing: float = 0.0,
    class_weights: Float[Array, " k"] | None = None,
    ignore_label: int | None = None,
) -> Float[Array, "*batch"]:
    """Cross entropy of integer labels, in nats, one per example: `-log softmax(logits)[label]`.

    `smoothing` in [0, 1) moves that much probability from the label onto the uniform distribution over all `k` classes
    (Szegedy et al. 2016, arXiv:1512.00567, §7). `class_weights` multiply the terms of the classes. An example whose
    label is `ignore_label` has value and gradient 0; its weight in `losses.example_weights` is 0 as well.
    Any other label outside [0, k) never becomes another class: the value and the whole gradient of that example are
    NaN, and only a mask on the values keeps both out of a mean. Infinite logits are treated as in `soft_cross_entropy`.
    Equals `torch.nn.functional.cross_entropy(reduction="none", weight=class_weights, label_smoothing=smoothing)`.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must lie in [0, 1), got {smoothing}")
    if ignore_label is not None:
        ignored = signed(labels) == ignore_label
        rest = jnp.where(ignored[..., None], 0, logits), jnp.where(ignored, 0, labels)
        return jnp.where(ignored, 0, softmax_cross_entropy(*rest, smoothing=smoothing, class_weights=class_weights))
    logits, classes = accumulate(logits), logits.shape[-1]
    in_range, hits = _one_hot(labels, classes)
    targets = hits.astype(logits.dtype) * (1 - smoothing) + smoothing / max(classes, 1)
    if class_weights is not None:
        targets = targets * jnp.broadcast_to(accumulate(class_weights), targets.shape)
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
def sigmoid_cross_entropy(
    logits: Float[Array, "*shape"], targets: Float[Array, "*shape"], *, pos_weight: Float[Array, "..."] | None = None
) -> Float[Array, "*shape"]:
    """Binary cross entropy, in nats, one per logit: `-(w · t · log σ(x) + (1 - t) · log σ(-x))` with targets in [0, 1].

    `pos_weight`, the w of positive targets, is 1 where it is not given; its shape is one that the shape of the logits
    ends with. Exact for large logits, without clipping: a logit of ±inf costs 0 where the target agrees with it and
    inf where it does not.
    Equals `torch.nn.functional.binary_cross_entropy_with_logits(reduction="none", pos_weight=pos_weight)`.
    """
    logits, targets = accumulate(logits), accumulate(targets)
    positive, weight = logits > 0, 1.0
    negatives, positives = 1 - targets, targets
    if pos_weight is not None:
        positives = targets * _along_last(accumulate(pos_weight), targets.shape)
        weight = negatives + positives
    size = jnp.where(positive, logits, -logits)
    return _weigh(jnp.where(positive, negatives, positives), size) + weight * jnp.log1p(jnp.exp(-size))


def _along_last(weights: Float[Array, "..."], shape: tuple[int, ...]) -> Float[Array, "..."]:
    if weights.shape != shape[len(shape) - weights.ndim :]:
        raise ValueError(f"the shape of pos_weight must be an ending of {shape}, got {weights.shape}")
    return jnp.broadcast_to(weights, shape)


def _cross_entropy(targets: Float[Array, "*batch k"], log_p: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    return jnp.sum(_weigh(targets, -log_p), axis=-1)


def _weigh(weights: Float[Array, "*shape"], values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`weights · values` with 0 · inf = 0."""
    return weights * jnp.where((weights == 0) & jnp.isinf(values), 0.0, values)


def _one_hot(labels: Integer[Array, "*batch"], classes: int) -> tuple[Bool[Array, "*batch"], Bool[Array, "*batch k"]]:
    """Which labels are in [0, classes), and which class is each example's, the first where the label is not."""
    labels = signed(labels)
    in_range = (labels >= 0) & (labels < classes)
    numbers = jnp.arange(classes, dtype=labels.dtype).reshape((1,) * labels.ndim + (classes,))
    return in_range, jnp.where(in_range, labels, 0)[..., None] == numbers


def _at_label(
    x: Float[Array, "*batch k"], in_range: Bool[Array, "*batch"], hits: Bool[Array, "*batch k"]
) -> Float[Array, "*batch"]:
    """The entry of each row at its label; where there is none the row's sum, whose gradient reaches all of the row."""
    return jnp.sum(jnp.where(hits | ~in_range[..., None], x, 0), axis=-1)


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


def _log_softmax(logits: Float[Array, "*batch k"]) -> Float[Array, "*batch k"]:
    """Log-probabilities with limits at infinite logits; 0 with zero gradient in a row that is all -inf."""
    shifted = below_largest(logits, axis=-1)
    total = jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True)
    return jnp.where(total == 0, 0.0, shifted - jnp.log(jnp.where(total == 0, 1.0, total)))
