"""Scores of a confusion matrix whose rows are labels and whose columns are predictions.

Scores per class average by `macro`, `micro` and `weighted`, for instance `macro(f1, matrix)`; an option is bound
beforehand: `macro(partial(f1, zero_division=jnp.nan), matrix)`.
"""

from collections.abc import Callable

import jax.numpy as jnp

from fjdl.numerics import accumulate, safe_divide
from fjdl.typing import Array, Float, Num, Scalar, typed

Score = Callable[[Array], Array]


@typed
def accuracy_from(matrix: Num[Array, "k k"]) -> Scalar:
    """Fraction of examples on the diagonal; NaN for an empty matrix. Equals `sklearn.metrics.accuracy_score`."""
    matrix = accumulate(matrix)
    return safe_divide(jnp.trace(matrix), jnp.sum(matrix), otherwise=jnp.nan)


@typed
def precision(matrix: Num[Array, "k k"], *, zero_division: float = 0.0) -> Float[Array, " k"]:
    """Fraction of the predictions of each class that are right, TP / (TP + FP).

    `zero_division` for a class that was never predicted. Equals `sklearn.metrics.precision_score(average=None)`.
    """
    matrix = accumulate(matrix)
    return safe_divide(jnp.diagonal(matrix), jnp.sum(matrix, axis=0), otherwise=zero_division)


@typed
def recall(matrix: Num[Array, "k k"], *, zero_division: float = 0.0) -> Float[Array, " k"]:
    """Fraction of the examples of each class that are found, TP / (TP + FN).

    `zero_division` for a class without examples. Equals `sklearn.metrics.recall_score(average=None)`.
    """
    matrix = accumulate(matrix)
    return safe_divide(jnp.diagonal(matrix), jnp.sum(matrix, axis=1), otherwise=zero_division)


@typed
def f1(matrix: Num[Array, "k k"], *, zero_division: float = 0.0) -> Float[Array, " k"]:
    """Harmonic mean of precision and recall of each class, 2 TP / (2 TP + FP + FN).

    `zero_division` for a class neither present nor predicted. Equals `sklearn.metrics.f1_score(average=None)`.
    """
    matrix = accumulate(matrix)
    found = jnp.diagonal(matrix)
    return safe_divide(2 * found, jnp.sum(matrix, axis=0) + jnp.sum(matrix, axis=1), otherwise=zero_division)


@typed
def macro(score: Score, matrix: Num[Array, "k k"]) -> Scalar:
    """Mean of the score over all `k` classes, absent ones included; classes where it is NaN are left out.

    Equals scikit-learn's `average="macro"` with `labels=range(k)`. NaN when no class has a score.
    """
    return _average(score(accumulate(matrix)), jnp.ones_like(jnp.diagonal(matrix)))


@typed
def weighted(score: Score, matrix: Num[Array, "k k"]) -> Scalar:
    """Mean of the score over classes, weighted by their number of examples; classes where it is NaN are left out.

    Equals scikit-learn's `average="weighted"`, but is NaN when no class with a score has examples.
    """
    return _average(score(accumulate(matrix)), jnp.sum(accumulate(matrix), axis=1))


@typed
def micro(score: Score, matrix: Num[Array, "k k"]) -> Scalar:
    """The score of all one-against-rest decisions pooled: their true and false positives and negatives are added up.

    Equals scikit-learn's `average="micro"`.
    """
    matrix = accumulate(matrix)
    total, right = jnp.sum(matrix), jnp.trace(matrix)
    wrong = total - right
    negatives = (matrix.shape[0] - 1) * total - wrong
    return score(jnp.stack([jnp.stack([negatives, wrong]), jnp.stack([wrong, right])]))[1]


def _average(scores: Float[Array, " k"], weights: Num[Array, " k"]) -> Scalar:
    defined = ~jnp.isnan(scores)
    weights = jnp.where(defined, accumulate(weights), 0)
    return safe_divide(jnp.sum(weights * jnp.where(defined, scores, 0)), jnp.sum(weights), otherwise=jnp.nan)
