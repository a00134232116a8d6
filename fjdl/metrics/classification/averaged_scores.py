"""Precision, recall and their kin of all examples at once, with the names and arguments of scikit-learn.

Labels and predictions are integers or bools `[n]`, or indicators `[n, k]` of `k` labels, where anything but 0 is
positive. `average` says what becomes of the scores per class:

- "binary": the score of the class `pos_label` against the rest; `labels` are not needed.
- "micro": the score of all decisions on the `labels` pooled.
- "macro": their mean; a class whose score is NaN, by `zero_division=nan`, is left out.
- "weighted": their mean weighted by the number of examples of each class, or the plain mean where there are none.
- "samples": the mean over examples of the score of their labels, for indicators.
- None: the scores themselves, in the order of `labels`.

`labels` are the classes that take part, for indicators the columns. They are static; None stands for all that occur in
the arrays, in ascending order, and needs arrays that are not traced. A prediction or a label that is none of `labels`
still counts against the other. `zero_division` stands for 0 / 0. `sample_weight` are
non-negative weights, or booleans, which select. Time and memory grow as n + k for `k` labels.
"""

from functools import partial
from typing import Literal

import jax.numpy as jnp
from jax.core import Tracer

from fjdl.fused import fused
from fjdl.metrics.classification import rates
from fjdl.metrics.classification.confusion_table import Labels as Classes, class_outcomes, known_labels
from fjdl.metrics.classification.multilabel import label_outcomes, sample_outcomes, selected
from fjdl.metrics.classification.outcomes import Outcomes
from fjdl.metrics.classification.rates import Score, micro
from fjdl.metrics.state.sums import average as mean_of
from fjdl.typing import Array, Bool, Float, Integer, Num, typed

Labels = Integer[Array, "n *k"] | Bool[Array, "n *k"]
SampleWeight = Num[Array, " n"] | Bool[Array, " n"] | None
Average = Literal["binary", "micro", "macro", "weighted", "samples"] | None


@typed
def precision_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Classes = None,
    pos_label: int = 1,
    average: Average = "binary",
    sample_weight: SampleWeight = None,
    zero_division: float = 0.0,
) -> Float[Array, "*classes"]:
    """Fraction in [0, 1] of the predictions of a class that are right, TP / (TP + FP).

    Equals `sklearn.metrics.precision_score`.

    >>> precision_score(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.6666..., dtype=float32)
    """
    score = partial(rates.precision, zero_division=zero_division)
    return _averaged(score, y_true, y_pred, labels, pos_label, average, sample_weight)


@typed
def recall_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Classes = None,
    pos_label: int = 1,
    average: Average = "binary",
    sample_weight: SampleWeight = None,
    zero_division: float = 0.0,
) -> Float[Array, "*classes"]:
    """Fraction in [0, 1] of the examples of a class that are found, TP / (TP + FN).

    Equals `sklearn.metrics.recall_score`.

    >>> recall_score(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(1., dtype=float32)
    """
    score = partial(rates.recall, zero_division=zero_division)
    return _averaged(score, y_true, y_pred, labels, pos_label, average, sample_weight)


@typed
def specificity_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Classes = None,
    pos_label: int = 1,
    average: Average = "binary",
    sample_weight: SampleWeight = None,
    zero_division: float = 0.0,
) -> Float[Array, "*classes"]:
    """Fraction in [0, 1] of the examples of other classes that are not taken for the class, TN / (TN + FP).

    Equals `sklearn.metrics.recall_score` of the complements.

    >>> specificity_score(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.5, dtype=float32)
    """
    score = partial(rates.specificity, zero_division=zero_division)
    return _averaged(score, y_true, y_pred, labels, pos_label, average, sample_weight)


@typed
def f1_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Classes = None,
    pos_label: int = 1,
    average: Average = "binary",
    sample_weight: SampleWeight = None,
    zero_division: float = 0.0,
) -> Float[Array, "*classes"]:
    """Harmonic mean in [0, 1] of precision and recall, 2 TP / (2 TP + FP + FN).

    Equals `sklearn.metrics.f1_score`.

    >>> f1_score(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.8, dtype=float32)
    """
    score = partial(rates.f1, zero_division=zero_division)
    return _averaged(score, y_true, y_pred, labels, pos_label, average, sample_weight)


@typed
def fbeta_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    beta: float,
    labels: Classes = None,
    pos_label: int = 1,
    average: Average = "binary",
    sample_weight: SampleWeight = None,
    zero_division: float = 0.0,
) -> Float[Array, "*classes"]:
    """Harmonic mean of precision and recall, which weighs β² times as much, (1 + β²) TP / ((1 + β²) TP + β² FN + FP).

    Equals `sklearn.metrics.fbeta_score`.

    >>> fbeta_score(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]), beta=2.0)
    Array(0.9090..., dtype=float32)
    """
    score = partial(rates.fbeta, beta=beta, zero_division=zero_division)
    return _averaged(score, y_true, y_pred, labels, pos_label, average, sample_weight)


@typed
def jaccard_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Classes = None,
    pos_label: int = 1,
    average: Average = "binary",
    sample_weight: SampleWeight = None,
    zero_division: float = 0.0,
) -> Float[Array, "*classes"]:
    """Intersection over union in [0, 1] of examples and predictions of a class, TP / (TP + FP + FN).

    Equals `sklearn.metrics.jaccard_score`, which takes no `zero_division` of NaN.

    >>> jaccard_score(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.6666..., dtype=float32)
    """
    score = partial(rates.jaccard, zero_division=zero_division)
    return _averaged(score, y_true, y_pred, labels, pos_label, average, sample_weight)


def _averaged(
    score: Score,
    y_true: Array,
    y_pred: Array,
    labels: Classes,
    pos_label: int,
    average: Average,
    sample_weight: Array | None,
) -> Array:
    if average == "samples":
        y_true, y_pred = selected(y_true, labels), selected(y_pred, labels)
        return _mean_of_defined(score(sample_outcomes(y_true, y_pred)), sample_weight)
    if average == "binary":
        labels = _positive(y_true, y_pred, pos_label)
    outcomes = _per_class(y_true, y_pred, labels, sample_weight)
    if average == "micro":
        return micro(score, outcomes)
    values = score(outcomes)
    if average == "binary":
        return values[0]
    support = outcomes.true_positives + outcomes.false_negatives if average == "weighted" else None
    return values if average is None else _mean_of_defined(values, support)


def _per_class(y_true: Array, y_pred: Array, labels: Classes, sample_weight: Array | None) -> Outcomes:
    if y_true.ndim != 1:
        return label_outcomes(selected(y_true, labels), selected(y_pred, labels), sample_weight=sample_weight)
    return class_outcomes(y_true, y_pred, known_labels(labels, y_true, y_pred), sample_weight)


def _positive(y_true: Array, y_pred: Array, pos_label: int) -> tuple[int, ...]:
    """The one label of binary data; whether the data are binary shows only where they are not traced."""
    if y_true.ndim != 1:
        raise ValueError(f"average must not be 'binary' for indicators, got y_true of shape {y_true.shape}")
    if not y_true.size or any(isinstance(y, Tracer) for y in (y_true, y_pred)):
        return (pos_label,)
    present = known_labels(None, y_true, y_pred)
    if len(present) > 2 or (len(present) == 2 and pos_label not in present):
        raise ValueError(f"average='binary' needs two labels with pos_label {pos_label} among them, got {present}")
    return (pos_label,)


@fused
def _mean_of_defined(values: Array, weights: Array | None) -> Array:
    """Mean of the values that are not NaN; the plain mean where their weights are all 0."""
    defined = ~jnp.isnan(values)
    if weights is None:
        return mean_of(values, defined)
    weights = jnp.where(defined, weights.astype(values.dtype), 0)
    return mean_of(values, jnp.where(jnp.any(weights != 0), weights, defined.astype(values.dtype)))
