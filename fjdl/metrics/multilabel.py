"""Outcomes of several yes-or-no decisions on each example, as indicators where anything but 0 is positive.

Scores of the outcomes are those of a confusion matrix: `macro(f1, label_outcomes(y_true, y_pred))`, and over batches
`then(multilabel_confusion(k), partial(macro, f1))`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.metrics import counts, sums
from fjdl.metrics.base import Metric, Weights, counted
from fjdl.metrics.outcomes import Outcomes, one_against_rest, two_by_two
from fjdl.metrics.tables import known_labels, pair_table
from fjdl.typing import Array, Bool, Float, Integer, Num, typed


@typed
def label_outcomes(
    y_true: Integer[Array, "n k"] | Bool[Array, "n k"],
    y_pred: Integer[Array, "n k"] | Bool[Array, "n k"],
    *,
    sample_weight: Num[Array, " n"] | None = None,
) -> Outcomes:
    """The outcomes of each of the `k` labels, counted over the examples or weighted by `sample_weight`."""

    def total(hits: Array) -> Array:
        if sample_weight is None:
            return counts.to_float(counts.of(jnp.sum(hits, axis=0, dtype=jnp.uint32)))
        return sums.to_float(sums.of(jnp.where(hits, jnp.asarray(sample_weight)[:, None], 0)))

    return jax.tree.map(total, _hits(y_true, y_pred))


@typed
def sample_outcomes(
    y_true: Integer[Array, "*batch k"] | Bool[Array, "*batch k"],
    y_pred: Integer[Array, "*batch k"] | Bool[Array, "*batch k"],
) -> Outcomes:
    """The outcomes of each example, counted over its `k` labels."""

    def total(hits: Array) -> Array:
        return counts.to_float(counts.of(jnp.sum(hits, axis=-1, dtype=jnp.uint32)))

    return jax.tree.map(total, _hits(y_true, y_pred))


@typed
def multilabel_confusion(labels: int) -> Metric:
    """The outcomes of each of `labels` labels over all examples, `update(state, predictions, labels, weights=None)`.

    Predictions and labels are indicators `[*batch, labels]`. The state is exact; see `counts.to_float` for the result.
    """
    at_least(1, labels=labels)
    count = labels

    def init() -> Outcomes:
        return Outcomes(*[counts.zero((count,)) for _ in range(4)])  # type: ignore[arg-type]

    @typed
    def update(
        state: Outcomes,
        predictions: Integer[Array, "*batch k"] | Bool[Array, "*batch k"],
        labels: Integer[Array, "*batch k"] | Bool[Array, "*batch k"],
        weights: Weights = None,
    ) -> Outcomes:
        if labels.shape[-1] != count:
            raise ValueError(f"labels must have {count} columns, got the shape {labels.shape}")
        chosen = counted(weights, labels.shape)

        def total(hits: Array) -> counts.Count:
            hits = (hits & chosen).reshape(-1, count)
            return counts.of(jnp.sum(hits, axis=0, dtype=jnp.uint32))

        return merge(state, Outcomes(*map(total, _hits(labels, predictions))))  # type: ignore[arg-type]

    @typed
    def merge(a: Outcomes, b: Outcomes) -> Outcomes:
        return Outcomes(*map(counts.add, a, b))  # type: ignore[arg-type]

    @typed
    def compute(state: Outcomes) -> Outcomes:
        return Outcomes(*map(counts.to_float, state))  # type: ignore[arg-type]

    return Metric(init, update, merge, compute)


@typed
def multilabel_confusion_matrix(
    y_true: Integer[Array, "n *k"] | Bool[Array, "n *k"],
    y_pred: Integer[Array, "n *k"] | Bool[Array, "n *k"],
    *,
    labels: Sequence[int] | None = None,
    sample_weight: Num[Array, " n"] | None = None,
    samplewise: bool = False,
) -> Float[Array, "m 2 2"]:
    """The confusion matrix `[[TN, FP], [FN, TP]]` of each label, or `samplewise` of each example.

    `labels` are the classes of labels `[n]`, and must be given where these are traced, or the columns of indicators
    `[n, k]`. Equals `sklearn.metrics.multilabel_confusion_matrix`.
    """
    if y_true.ndim == 1 and not samplewise:
        known = known_labels(labels, y_true, y_pred)
        return two_by_two(one_against_rest(pair_table(y_true, y_pred, known, sample_weight)))[:-1]
    y_true, y_pred = selected(y_true, labels), selected(y_pred, labels)
    if not samplewise:
        return two_by_two(label_outcomes(y_true, y_pred, sample_weight=sample_weight))
    tables = two_by_two(sample_outcomes(y_true, y_pred))
    return tables if sample_weight is None else tables * sample_weight.astype(tables.dtype)[:, None, None]


@typed
def selected(
    indicators: Integer[Array, "..."] | Bool[Array, "..."], labels: Sequence[int] | None
) -> Integer[Array, "n m"] | Bool[Array, "n m"]:
    """The columns `labels` of indicators `[n, k]`, or all for None."""
    if indicators.ndim != 2:
        raise ValueError(f"indicators must have the shape (n, k), got {indicators.shape}")
    columns = indicators.shape[1]
    if labels is not None and not all(0 <= label < columns for label in labels):
        raise ValueError(f"labels must be columns in [0, {columns}), got {tuple(labels)}")
    return indicators if labels is None else jnp.stack([indicators[:, label] for label in labels], axis=1)


def _hits(y_true: Array, y_pred: Array) -> Outcomes:
    """Which decision has which outcome."""
    y_true, y_pred = jnp.asarray(y_true) != 0, jnp.asarray(y_pred) != 0
    return Outcomes(y_true & y_pred, ~y_true & y_pred, y_true & ~y_pred, ~y_true & ~y_pred)
