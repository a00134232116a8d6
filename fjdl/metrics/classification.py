"""Metrics of class predictions."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.metrics import counts
from fjdl.metrics.base import Metric, Weights, counted
from fjdl.metrics.counts import Count
from fjdl.metrics.tables import count_pairs
from fjdl.numerics import safe_divide, signed
from fjdl.typing import Array, Bool, Float, Int, Integer, Scalar, typed


class Proportion(NamedTuple):
    """How many of how many."""

    successes: Count
    trials: Count


@typed
def accuracy() -> Metric:
    """Fraction in [0, 1] of examples whose label has the largest logit; NaN when nothing was seen.

    It is `top_k_accuracy(1)`, and equals `sklearn.metrics.accuracy_score` of `predicted_class(logits)`.
    """
    return top_k_accuracy(1)


@typed
def top_k_accuracy(k: int) -> Metric:
    """Fraction in [0, 1] of examples whose label is among the `k` largest logits; NaN when nothing was seen.

    `update(state, logits, labels, weights=None)`, which counts by `within_top_k`: an example with a label out of range
    or with a NaN among its logits counts, and is never correct.
    Equals `sklearn.metrics.top_k_accuracy_score` where no logits are equal.
    """
    at_least(1, k=k)

    def init() -> Proportion:
        return Proportion(counts.zero(), counts.zero())

    @typed
    def update(
        state: Proportion, logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"], weights: Weights = None
    ) -> Proportion:
        chosen = counted(weights, labels.shape)
        successes = jnp.sum(chosen & within_top_k(logits, labels, k=k), dtype=jnp.uint32)
        trials = jnp.sum(chosen, dtype=jnp.uint32)
        return merge(state, Proportion(counts.of(successes), counts.of(trials)))

    @typed
    def merge(a: Proportion, b: Proportion) -> Proportion:
        return Proportion(counts.add(a.successes, b.successes), counts.add(a.trials, b.trials))

    @typed
    def compute(state: Proportion) -> Scalar:
        return safe_divide(counts.to_float(state.successes), counts.to_float(state.trials), otherwise=jnp.nan)

    return Metric(init, update, merge, compute)


@typed
def confusion_matrix(classes: int) -> Metric:
    """Number of examples by label (row) and predicted class (column), in float32.

    `update(state, predictions, labels, weights=None)` with integer predictions, for instance of `predicted_class`.
    A pair of which either is outside [0, classes) is left out and never counts in another cell. The state is exact;
    see `counts.to_float` for the result. Equals `sklearn.metrics.confusion_matrix(labels=range(classes))`. Any score
    of the matrix streams by `then`: `then(confusion_matrix(10), matthews_correlation)`.
    """
    at_least(1, classes=classes)

    def init() -> Count:
        return counts.zero((classes, classes))

    @typed
    def update(
        state: Count,
        predictions: Integer[Array, "*batch"],
        labels: Integer[Array, "*batch"],
        weights: Weights = None,
    ) -> Count:
        labels = jnp.where(counted(weights, labels.shape), signed(labels), -1)
        return counts.add(state, count_pairs(labels, signed(predictions), classes))

    return Metric(init, update, counts.add, counts.to_float)


@typed
def predicted_class(logits: Float[Array, "*batch k"]) -> Int[Array, "*batch"]:
    """The class with the largest logit, the lowest of equals; -1, which is no class, where a logit is NaN."""
    return jnp.where(jnp.any(jnp.isnan(logits), axis=-1), -1, jnp.argmax(logits, axis=-1))


@typed
def within_top_k(
    logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"], *, k: int
) -> Bool[Array, "*batch"]:
    """Whether fewer than `k` classes come before the label, in the order of falling logits.

    Among equal logits the lower class comes first, as in `argmax`. False for a label out of range, and where a logit
    is NaN.
    """
    label = signed(labels)[..., None]
    classes = jnp.broadcast_to(jnp.arange(logits.shape[-1], dtype=label.dtype), logits.shape)
    is_label = classes == label
    own = jnp.sum(jnp.where(is_label, logits, 0), axis=-1, keepdims=True)
    before = (logits > own) | ((logits == own) & (classes < label))
    valid = jnp.any(is_label, axis=-1) & ~jnp.any(jnp.isnan(logits), axis=-1)
    return valid & (jnp.sum(before, axis=-1) < k)
