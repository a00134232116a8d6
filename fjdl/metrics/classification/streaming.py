"""Metrics of class predictions."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.fused import fused
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.classification.confusion_table import pair_amounts, require_table
from fjdl.metrics.state import amounts
from fjdl.metrics.state.amounts import Amount
from fjdl.numerics import safe_divide, signed, stored
from fjdl.typing import Array, Bool, Float, Int, Integer, Scalar, typed


class Proportion(NamedTuple):
    """How many of how many."""

    successes: Amount
    trials: Amount


@streaming("accuracy_score(y_true, y_pred)")
def accuracy() -> Metric:
    """Fraction in [0, 1] of examples whose label has the largest logit; NaN when nothing was seen.

    It is `top_k_accuracy(1)`, and equals `sklearn.metrics.accuracy_score` of `predicted_class(logits)`.
    """
    return top_k_accuracy(1)


@streaming("top_k_accuracy_score(y_true, y_score)")
def top_k_accuracy(k: int) -> Metric:
    """Fraction in [0, 1] of examples whose label is among the `k` largest logits; NaN when nothing was seen.

    `update(state, logits, labels, weights=None)`, which counts by `within_top_k`: an example with a label out of range
    or with a NaN among its logits counts, and is never correct.
    Equals `sklearn.metrics.top_k_accuracy_score` where no logits are equal.
    """
    at_least(1, k=k)

    def init() -> Proportion:
        return Proportion(amounts.zero(), amounts.zero())

    @typed
    def update(
        state: Proportion, logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"], weights: Weights = None
    ) -> Proportion:
        each = weight_of_each(weights, labels.shape).ravel()
        hits = within_top_k(logits, labels, k=k).ravel()
        return merge(state, Proportion(amounts.of(hits, each), amounts.sum_of(each)))

    @typed
    def merge(a: Proportion, b: Proportion) -> Proportion:
        return Proportion(amounts.add(a.successes, b.successes), amounts.add(a.trials, b.trials))

    @typed
    def compute(state: Proportion) -> Scalar:
        return safe_divide(amounts.to_float(state.successes), amounts.to_float(state.trials), otherwise=jnp.nan)

    return Metric(init, update, merge, compute)


@streaming("confusion_table(y_true, y_pred)")
def confusion_matrix(classes: int) -> Metric:
    """Number of examples, or sum of their weights, by label (row) and predicted class (column), in float32.

    `update(state, predictions, labels, weights=None)` with integer predictions, for instance of `predicted_class`. A
    pair of which either is outside [0, classes) is left out and never counts in another cell. Counts are exact, see
    `counts.to_float`, and sums of real weights in two floats. Equals
    `sklearn.metrics.confusion_matrix(labels=range(classes))`. Any score of the matrix streams by `then`:
    `then(confusion_matrix(10), matthews_correlation)`.
    """
    at_least(1, classes=classes)
    require_table("classes", classes)

    def init() -> Amount:
        return amounts.zero((classes, classes))

    @typed
    def update(
        state: Amount,
        predictions: Integer[Array, "*batch"],
        labels: Integer[Array, "*batch"],
        weights: Weights = None,
    ) -> Amount:
        each = weight_of_each(weights, labels.shape)
        return amounts.add(state, pair_amounts(signed(labels), signed(predictions, name="predictions"), each, classes))

    return Metric(init, update, amounts.add, amounts.to_float)


@typed
@fused
def predicted_class(logits: Float[Array, "*batch k"]) -> Int[Array, "*batch"]:
    """The class with the largest logit, the lowest of equals; -1, which is no class, where a logit is NaN."""
    return jnp.where(jnp.any(jnp.isnan(logits), axis=-1), -1, jnp.argmax(stored(logits), axis=-1))


@typed
@fused
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
    heights = stored(logits)
    own = jnp.sum(jnp.where(is_label, heights, 0), axis=-1, keepdims=True)
    before = (heights > own) | ((heights == own) & (classes < label))
    valid = jnp.any(is_label, axis=-1) & ~jnp.any(jnp.isnan(logits), axis=-1)
    return valid & (jnp.sum(before, axis=-1) < k)
