"""Cross entropies on logits, in nats, one value per example."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.losses.labels import hits, known, largest, nan_unless
from fjdl.measured import measured
from fjdl.numerics import is_label, log1p_of_fraction, log_softmax, signed, widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Float, Integer, Number, typed


@typed
@fused
def softmax_cross_entropy(
    logits: Float[Array, "*batch k"],
    labels: Integer[Array, "*batch"],
    *,
    smoothing: Number = 0.0,
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

    >>> softmax_cross_entropy(jnp.array([[0.0, 0.0]]), jnp.array([0]))
    Array([0.6931...], dtype=float32)
    """
    within("[0, 1)", smoothing=smoothing)
    if ignore_label is not None:
        ignored = is_label(labels, ignore_label, name="ignore_label")
        rest = jnp.where(ignored[..., None], 0, logits), jnp.where(ignored, 0, labels)
        return jnp.where(ignored, 0, softmax_cross_entropy(*rest, smoothing=smoothing, class_weights=class_weights))
    logits, classes = widened(logits), logits.shape[-1]
    in_range = known(labels, classes)
    if class_weights is None and isinstance(smoothing, int | float):
        return nan_unless(in_range, _label_cross_entropy(logits, signed(labels), smoothing))
    targets = _smoothed(labels, smoothing, logits)
    if class_weights is not None:
        targets = targets * jnp.broadcast_to(widened(class_weights), targets.shape)
    return nan_unless(in_range, _cross_entropy(logits, targets))


@typed
@fused
def soft_cross_entropy(logits: Float[Array, "*batch k"], targets: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """Cross entropy of target distributions, in nats, one per example: `-Σ_k targets · log softmax(logits)`.

    0 · log 0 is 0, so a logit of -inf costs nothing where the target is 0, and inf where it is not; gradients with
    respect to the logits stay finite. A logit of +inf takes all probability. A row whose logits are all -inf has
    no distribution: its value and gradient are 0, and a mask has to keep it out of the mean.
    Targets are not checked to be non-negative with sum 1. Equals `torch.nn.functional.cross_entropy(reduction="none")`
    with targets of probabilities.

    >>> soft_cross_entropy(jnp.array([[0.0, 0.0]]), jnp.array([[0.5, 0.5]]))
    Array([0.6931...], dtype=float32)
    """
    return _cross_entropy(widened(logits), widened(targets))


@typed
@fused
def sigmoid_cross_entropy(
    logits: Float[Array, "*shape"], targets: Float[Array, "*shape"], *, pos_weight: Float[Array, "..."] | None = None
) -> Float[Array, "*shape"]:
    """Binary cross entropy, in nats, one per logit: `-(w · t · log σ(x) + (1 - t) · log σ(-x))` with targets in [0, 1].

    `pos_weight`, the w of positive targets, is 1 where it is not given; its shape is one that the shape of the logits
    ends with. Exact for large logits, without clipping: a logit of ±inf costs 0 where the target agrees with it and
    inf where it does not.
    Equals `torch.nn.functional.binary_cross_entropy_with_logits(reduction="none", pos_weight=pos_weight)`.

    >>> sigmoid_cross_entropy(jnp.array([0.0, 100.0]), jnp.array([1.0, 1.0]))
    Array([0.6931..., 0.       ], dtype=float32)
    """
    logits, targets = widened(logits), widened(targets)
    positive, weight = logits > 0, 1.0
    negatives, positives = 1 - targets, targets
    if pos_weight is not None:
        positives = targets * _along_last(widened(pos_weight), targets.shape)
        weight = negatives + positives
    size = jnp.where(positive, logits, -logits)
    return _weigh(jnp.where(positive, negatives, positives), size) + weight * log1p_of_fraction(jnp.exp(-size))


def _along_last(weights: Float[Array, "..."], shape: tuple[int, ...]) -> Float[Array, "..."]:
    if weights.shape != shape[len(shape) - weights.ndim :]:
        raise ValueError(f"the shape of pos_weight must be an ending of {shape}, got {weights.shape}")
    return jnp.broadcast_to(weights, shape)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _label_cross_entropy(
    logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"], smoothing: Number
) -> Float[Array, "*batch"]:
    """`_cross_entropy` with the smoothed one-hot vectors of labels, which it never writes to memory."""

    def of_surprisals(logits: Array, labels: Array) -> Array:
        surprisal = _surprisal(logits)
        own = _entry(surprisal, labels)
        return own if smoothing == 0 else (1 - smoothing) * own + smoothing * jnp.mean(surprisal, axis=-1)

    def of_sums(logits: Array, labels: Array) -> Array:
        shifted, total = _below_and_total(logits)
        own = jnp.sum(jnp.where(hits(labels, logits.shape[-1]), shifted, 0), axis=-1)
        mixed = own if smoothing == 0 else (1 - smoothing) * own + smoothing * jnp.mean(shifted, axis=-1)
        return jnp.where(largest(logits)[..., 0] == -jnp.inf, 0, jnp.log(total[..., 0]) - mixed)

    return by_platform(logits, labels, tpu=of_sums, elsewhere=of_surprisals)


@_label_cross_entropy.defjvp
def _label_cross_entropy_jvp(
    smoothing: Number, primals: tuple[Array, Array], tangents: tuple[Any, Any]
) -> tuple[Array, Array]:
    logits, labels = primals
    targets = _smoothed(labels, smoothing, logits)
    change = jnp.sum(_slope(logits, targets, jnp.ones_like(logits[..., :1])) * tangents[0], axis=-1)
    return _label_cross_entropy(logits, labels, smoothing), change


@jax.custom_jvp
def _cross_entropy(logits: Float[Array, "*batch k"], targets: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """-Σ targets · log softmax(logits), with 0 · inf = 0; 0 with zero gradient in a row that is all -inf."""
    return jnp.sum(_weigh(targets, _surprisal(logits)), axis=-1)


@partial(_cross_entropy.defjvp, symbolic_zeros=True)
def _cross_entropy_jvp(primals: tuple[Array, Array], tangents: tuple[Any, Any]) -> tuple[Array, Any]:
    (logits, targets), change = primals, 0.0
    if not isinstance(tangents[0], SymbolicZero):
        change += _slope(logits, targets, jnp.sum(targets, axis=-1, keepdims=True)) * tangents[0]
    if not isinstance(tangents[1], SymbolicZero):
        surprisal = _surprisal(logits)
        change += jnp.where((targets == 0) & jnp.isinf(surprisal), 0, surprisal) * tangents[1]
    return _cross_entropy(logits, targets), jnp.sum(change, axis=-1)


def _slope(
    logits: Float[Array, "*batch k"], targets: Float[Array, "*batch k"], total: Float[Array, "*batch 1"]
) -> Float[Array, "*batch k"]:
    """Derivative of cross entropy by the logits, computed in one pass; 0 where a row's largest logit is infinite."""

    def of_logarithms(logits: Array, targets: Array, total: Array) -> Array:
        return jnp.where(jnp.isinf(largest(logits)), 0, total * jnp.exp(log_softmax(logits, -1)) - targets)

    def of_sums(logits: Array, targets: Array, total: Array) -> Array:
        shifted, weight = _below_and_total(logits)
        settled = jnp.isinf(jax.lax.stop_gradient(largest(logits)) - jnp.clip(logits, -1, 1))
        return jnp.where(settled, 0, total * (jnp.exp(shifted) / weight) - targets)

    return by_platform(logits, targets, total, tpu=of_sums, elsewhere=of_logarithms)


def _below_and_total(logits: Float[Array, "*batch k"]) -> tuple[Float[Array, "*batch k"], Float[Array, "*batch 1"]]:
    """Each logit less the largest of its row, and the sum of their exponentials, for a TPU.

    Nothing is computed for a row apart from its sums: a TPU makes a small program of its own of each such number. Where
    the largest is infinite, entries that equal it are 0. The sum is at least 1.
    """
    shifted = logits - jax.lax.stop_gradient(largest(logits))
    shifted = jnp.where(jnp.isnan(shifted) & ~jnp.isnan(logits), 0, shifted)
    return shifted, jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True)


def _surprisal(logits: Float[Array, "*batch k"]) -> Float[Array, "*batch k"]:
    return jnp.where(largest(logits) == -jnp.inf, 0, -log_softmax(logits, -1))


def _smoothed(
    labels: Integer[Array, "*batch"], smoothing: Number, like: Float[Array, "*batch k"]
) -> Float[Array, "*batch k"]:
    """One-hot vectors of which `smoothing` is spread over all classes, in the shape and dtype of `like`."""
    classes = like.shape[-1]
    return hits(labels, classes).astype(like.dtype) * (1 - smoothing) + smoothing / max(classes, 1)


def _entry(x: Float[Array, "*batch k"], labels: Integer[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The entry of each row at its label: looked up on CPU, and summed out elsewhere, where lookups are slow."""

    def look_up(x: Array, labels: Array) -> Array:
        return jnp.take_along_axis(x, labels[..., None], axis=-1, mode="clip")[..., 0]

    def sum_out(x: Array, labels: Array) -> Array:
        return jnp.sum(jnp.where(hits(labels, x.shape[-1]), x, 0), axis=-1)

    on_cpu = measured({"0.10.2": look_up, "0.12.0": look_up})
    return by_platform(x, labels, cpu=on_cpu, elsewhere=sum_out)


def _weigh(weights: Float[Array, "*shape"], values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`weights · values` with 0 · inf = 0."""
    return weights * jnp.where((weights == 0) & jnp.isinf(values), 0.0, values)
