"""Scores of a confusion matrix whose rows are labels and whose columns are predictions, or of `Outcomes`.

Scores per class average by `macro`, `micro` and `weighted`, for instance `macro(f1, matrix)`; an option is bound
beforehand: `macro(partial(f1, zero_division=jnp.nan), matrix)`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.metrics.classification.outcomes import Outcomes, outcomes_of, pooled
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Float, Num, Scalar, typed

Score = Callable[[Any], Array]


@typed
def accuracy_from(matrix: Num[Array, "k k"]) -> Scalar:
    """Fraction of examples on the diagonal; NaN for an empty matrix. Equals `sklearn.metrics.accuracy_score`.

    >>> accuracy_from(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array(0.75, dtype=float32)
    """
    matrix = widened(matrix)
    return safe_divide(jnp.trace(matrix), jnp.sum(matrix), otherwise=jnp.nan)


@typed
def precision(matrix: Num[Array, "k k"] | Outcomes, *, zero_division: float = 0.0) -> Float[Array, "*classes"]:
    """Fraction of the predictions of each class that are right, TP / (TP + FP), also positive predictive value `ppv`.

    `zero_division` for a class that was never predicted. Equals `sklearn.metrics.precision_score(average=None)`.

    >>> precision(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([1.       , 0.6666...], dtype=float32)
    """
    tp, fp, _, _ = outcomes_of(matrix)
    return safe_divide(tp, tp + fp, otherwise=zero_division)


@typed
def recall(matrix: Num[Array, "k k"] | Outcomes, *, zero_division: float = 0.0) -> Float[Array, "*classes"]:
    """Fraction of the examples of each class that are found, TP / (TP + FN), also `sensitivity`.

    `zero_division` for a class without examples. Equals `sklearn.metrics.recall_score(average=None)`.

    >>> recall(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([0.5, 1. ], dtype=float32)
    """
    tp, _, fn, _ = outcomes_of(matrix)
    return safe_divide(tp, tp + fn, otherwise=zero_division)


ppv = precision
sensitivity = recall


@typed
def f1(matrix: Num[Array, "k k"] | Outcomes, *, zero_division: float = 0.0) -> Float[Array, "*classes"]:
    """Harmonic mean of precision and recall of each class, 2 TP / (2 TP + FP + FN).

    `zero_division` for a class neither present nor predicted. Equals `sklearn.metrics.f1_score(average=None)`.

    >>> f1(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([0.6666..., 0.8      ], dtype=float32)
    """
    return fbeta(matrix, beta=1.0, zero_division=zero_division)


@typed
def fbeta(matrix: Num[Array, "k k"] | Outcomes, *, beta: float, zero_division: float = 0.0) -> Float[Array, "*classes"]:
    """Harmonic mean of precision and recall, recall β² times as heavy, (1 + β²) TP / ((1 + β²) TP + β² FN + FP).

    At `beta` 0 it is the precision, at infinity the recall. `zero_division` for a class neither present nor predicted.
    van Rijsbergen 1979, Information Retrieval, ch. 7. Equals `sklearn.metrics.fbeta_score(average=None)`.
    """
    within("[0, inf]", beta=beta)
    tp, fp, fn, _ = outcomes_of(matrix)
    # One of both factors is 1 and the other at most 1, so that no beta overflows.
    of_fp, of_fn = (1.0, beta**2) if beta <= 1 else (beta**-2, 1.0)
    found = (of_fp + of_fn) * tp
    return safe_divide(found, found + of_fn * fn + of_fp * fp, otherwise=zero_division)


@typed
def jaccard(matrix: Num[Array, "k k"] | Outcomes, *, zero_division: float = 0.0) -> Float[Array, "*classes"]:
    """Intersection over union of the examples and the predictions of each class, TP / (TP + FP + FN).

    `zero_division` for a class neither present nor predicted. Equals `sklearn.metrics.jaccard_score(average=None)`.

    >>> jaccard(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([0.5      , 0.6666...], dtype=float32)
    """
    tp, fp, fn, _ = outcomes_of(matrix)
    return safe_divide(tp, tp + fp + fn, otherwise=zero_division)


@typed
def specificity(matrix: Num[Array, "k k"] | Outcomes, *, zero_division: float = 0.0) -> Float[Array, "*classes"]:
    """Fraction of the examples of other classes that are not taken for the class, TN / (TN + FP).

    `zero_division` where there are no other examples. Equals the recall of "not this class".

    >>> specificity(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([1. , 0.5], dtype=float32)
    """
    _, fp, _, tn = outcomes_of(matrix)
    return safe_divide(tn, tn + fp, otherwise=zero_division)


@typed
def npv(matrix: Num[Array, "k k"] | Outcomes, *, zero_division: float = 0.0) -> Float[Array, "*classes"]:
    """Negative predictive value: fraction of the predictions of other classes that are right, TN / (TN + FN).

    `zero_division` where nothing else was predicted. Equals the precision of "not this class".

    >>> npv(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([0.6666..., 1.       ], dtype=float32)
    """
    _, _, fn, tn = outcomes_of(matrix)
    return safe_divide(tn, tn + fn, otherwise=zero_division)


@typed
def false_positive_rate(
    matrix: Num[Array, "k k"] | Outcomes, *, zero_division: float = 0.0
) -> Float[Array, "*classes"]:
    """Fraction of the examples of other classes that are taken for the class, FP / (FP + TN), 1 - `specificity`.

    `zero_division` where there are no other examples.

    >>> false_positive_rate(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([0. , 0.5], dtype=float32)
    """
    _, fp, _, tn = outcomes_of(matrix)
    return safe_divide(fp, fp + tn, otherwise=zero_division)


@typed
def false_negative_rate(
    matrix: Num[Array, "k k"] | Outcomes, *, zero_division: float = 0.0
) -> Float[Array, "*classes"]:
    """Fraction of the examples of each class that are missed, FN / (FN + TP), 1 - `recall`.

    `zero_division` for a class without examples.

    >>> false_negative_rate(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([0.5, 0. ], dtype=float32)
    """
    tp, _, fn, _ = outcomes_of(matrix)
    return safe_divide(fn, fn + tp, otherwise=zero_division)


@typed
def macro(score: Score, matrix: Num[Array, "k k"] | Outcomes) -> Scalar:
    """Mean of the score over all `k` classes, absent ones included; classes where it is NaN are left out.

    Equals scikit-learn's `average="macro"` with `labels=range(k)`. NaN when no class has a score.
    """
    scores = score(jax.tree.map(widened, matrix))
    return _average(scores, jnp.ones_like(scores))


@typed
def weighted(score: Score, matrix: Num[Array, "k k"] | Outcomes) -> Scalar:
    """Mean of the score over classes, weighted by their number of examples; classes where it is NaN are left out.

    Equals scikit-learn's `average="weighted"`, but is NaN when no class with a score has examples.
    """
    tp, _, fn, _ = outcomes_of(matrix)
    return _average(score(jax.tree.map(widened, matrix)), tp + fn)


@typed
def micro(score: Score, matrix: Num[Array, "k k"] | Outcomes) -> Scalar:
    """The score of all one-against-rest decisions pooled: their true and false positives and negatives are added up.

    Equals scikit-learn's `average="micro"`.
    """
    return score(pooled(outcomes_of(matrix)))[1]


def _average(scores: Float[Array, " k"], weights: Num[Array, " k"]) -> Scalar:
    defined = ~jnp.isnan(scores)
    weights = jnp.where(defined, widened(weights), 0)
    return safe_divide(jnp.sum(weights * jnp.where(defined, scores, 0)), jnp.sum(weights), otherwise=jnp.nan)
