"""Outcomes of several yes-or-no decisions on each example, as indicators where anything but 0 is positive.

Scores of the outcomes are those of a confusion matrix: `macro(f1, label_outcomes(y_true, y_pred))`, and over batches
`then(multilabel_confusion(k), partial(macro, f1))`.
"""

import jax
import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.classification.confusion_table import Labels, class_outcomes, known_labels, listed
from fjdl.metrics.classification.outcomes import Outcomes, two_by_two
from fjdl.metrics.state import amounts, counts
from fjdl.typing import Array, Bool, Float, Integer, Num, typed


@typed
def label_outcomes(
    y_true: Integer[Array, "n k"] | Bool[Array, "n k"],
    y_pred: Integer[Array, "n k"] | Bool[Array, "n k"],
    *,
    sample_weight: Num[Array, " n"] | Bool[Array, " n"] | None = None,
) -> Outcomes:
    """The outcomes of each of the `k` labels, counted over the examples or weighted by `sample_weight`."""

    each = weight_of_each(sample_weight, y_true.shape[:1])
    return jax.tree.map(lambda hits: amounts.to_float(amounts.of(hits, each)), _hits(y_true, y_pred))


@typed
def sample_outcomes(
    y_true: Integer[Array, "*batch k"] | Bool[Array, "*batch k"],
    y_pred: Integer[Array, "*batch k"] | Bool[Array, "*batch k"],
) -> Outcomes:
    """The outcomes of each example, counted over its `k` labels."""

    def total(hits: Array) -> Array:
        return counts.to_float(counts.of(jnp.sum(hits, axis=-1, dtype=jnp.uint32)))

    return jax.tree.map(total, _hits(y_true, y_pred))


@streaming("multilabel_confusion_matrix(y_true, y_pred)")
def multilabel_confusion(labels: int) -> Metric:
    """The outcomes of each of `labels` labels over all examples, `update(state, predictions, labels, weights=None)`.

    Predictions and labels are indicators `[*batch, labels]`. Counts are exact, see
    `counts.to_float`, and sums of real weights in two floats.
    """
    at_least(1, labels=labels)
    count = labels

    def init() -> Outcomes:
        return Outcomes(*[amounts.zero((count,)) for _ in range(4)])  # type: ignore[arg-type]

    @typed
    def update(
        state: Outcomes,
        predictions: Integer[Array, "*batch k"] | Bool[Array, "*batch k"],
        labels: Integer[Array, "*batch k"] | Bool[Array, "*batch k"],
        weights: Weights = None,
    ) -> Outcomes:
        if labels.shape[-1] != count:
            raise ValueError(f"labels must have {count} columns, got the shape {labels.shape}")
        hits = _hits(*[jnp.asarray(x).reshape(-1, count) for x in (labels, predictions)])
        each = weight_of_each(weights, labels.shape[:-1]).ravel()
        return merge(state, Outcomes(*[amounts.of(x, each) for x in hits]))  # type: ignore[arg-type]

    @typed
    def merge(a: Outcomes, b: Outcomes) -> Outcomes:
        return Outcomes(*map(amounts.add, a, b))  # type: ignore[arg-type]

    @typed
    def compute(state: Outcomes) -> Outcomes:
        return Outcomes(*map(amounts.to_float, state))  # type: ignore[arg-type]

    return Metric(init, update, merge, compute)


@typed
def multilabel_confusion_matrix(
    y_true: Integer[Array, "n *k"] | Bool[Array, "n *k"],
    y_pred: Integer[Array, "n *k"] | Bool[Array, "n *k"],
    *,
    labels: Labels = None,
    sample_weight: Num[Array, " n"] | Bool[Array, " n"] | None = None,
    samplewise: bool = False,
) -> Float[Array, "m 2 2"]:
    """The confusion matrix `[[TN, FP], [FN, TP]]` of each label, or `samplewise` of each example.

    `labels` are the classes of labels `[n]`, and must be given where these are traced, or the columns of indicators
    `[n, k]`. Equals `sklearn.metrics.multilabel_confusion_matrix`.
    """
    if y_true.ndim == 1 and not samplewise:
        return two_by_two(class_outcomes(y_true, y_pred, known_labels(labels, y_true, y_pred), sample_weight))
    y_true, y_pred = selected(y_true, labels), selected(y_pred, labels)
    if not samplewise:
        return two_by_two(label_outcomes(y_true, y_pred, sample_weight=sample_weight))
    tables = two_by_two(sample_outcomes(y_true, y_pred))
    return tables if sample_weight is None else tables * sample_weight.astype(tables.dtype)[:, None, None]


@typed
def selected(
    indicators: Integer[Array, "..."] | Bool[Array, "..."], labels: Labels
) -> Integer[Array, "n m"] | Bool[Array, "n m"]:
    """The columns `labels` of indicators `[n, k]`, or all for None."""
    if indicators.ndim != 2:
        raise ValueError(f"indicators must have the shape (n, k), got {indicators.shape}")
    columns = indicators.shape[1]
    if labels is None:
        return indicators
    known = listed(labels)
    if not all(0 <= label < columns for label in known):
        raise ValueError(f"labels must be columns in [0, {columns}), got {known}")
    return jnp.stack([indicators[:, label] for label in known], axis=1)


def _hits(y_true: Array, y_pred: Array) -> Outcomes:
    """Which decision has which outcome."""
    y_true, y_pred = jnp.asarray(y_true) != 0, jnp.asarray(y_pred) != 0
    return Outcomes(y_true & y_pred, ~y_true & y_pred, y_true & ~y_pred, ~y_true & ~y_pred)
