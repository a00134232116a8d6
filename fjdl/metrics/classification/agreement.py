"""Agreement of labels and predictions, as scores of a confusion matrix whose rows are labels, or of `Outcomes`."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp

from fjdl.metrics.classification.outcomes import Outcomes, one_against_rest, outcomes_of
from fjdl.metrics.classification.rates import macro, recall
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Float, Num, Scalar, typed


@typed
def balanced_accuracy(matrix: Num[Array, "k k"] | Outcomes, *, adjusted: bool = False) -> Scalar:
    """Mean recall in [0, 1] of the classes that have examples; NaN where none has.

    `adjusted` moves chance to 0: `(score - 1/c) / (1 - 1/c)` for `c` classes with examples, NaN for one.
    Equals `sklearn.metrics.balanced_accuracy_score`.

    >>> balanced_accuracy(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array(0.75, dtype=float32)
    """
    score = macro(partial(recall, zero_division=jnp.nan), matrix)
    if not adjusted:
        return score
    tp, _, fn, _ = outcomes_of(matrix)
    present = tp + fn != 0
    chance = safe_divide(jnp.ones_like(score), jnp.sum(present, dtype=score.dtype), otherwise=jnp.nan)
    return safe_divide(score - chance, 1 - chance, otherwise=jnp.nan)


@typed
def matthews_correlation(matrix: Num[Array, "k k"] | Outcomes) -> Scalar:
    """Correlation in [-1, 1] of labels and predictions, `cov(t, p) / √(cov(t, t) cov(p, p))` of their indicators.

    The value and its gradient are 0 where all labels or all predictions are equal, and for an empty matrix. Computed
    from sums of outcomes, `cov(t, p) = Σ (TP·TN - FP·FN)`, without cancellation for rare classes.
    Matthews 1975; Gorodkin 2004 for `k` classes. Equals `sklearn.metrics.matthews_corrcoef`.

    >>> matthews_correlation(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array(0.5773..., dtype=float32)
    """
    tp, fp, fn, tn = _shares(matrix)
    of_labels, of_predictions = jnp.sum((tp + fn) * (tn + fp)), jnp.sum((tp + fp) * (tn + fn))
    constant = (of_labels == 0) | (of_predictions == 0)
    scale = jnp.sqrt(jnp.where(constant, 1, of_labels)) * jnp.sqrt(jnp.where(constant, 1, of_predictions))
    return jnp.where(constant, 0, jnp.sum(tp * tn - fp * fn) / scale)


@typed
def cohen_kappa(matrix: Num[Array, "k k"], *, weights: Literal["linear", "quadratic"] | None = None) -> Scalar:
    """Agreement in [-1, 1] beyond chance, `1 - Σ wᵢⱼ mᵢⱼ / Σ wᵢⱼ eᵢⱼ` with `eᵢⱼ = rowᵢ columnⱼ / total`.

    A disagreement of the classes i and j weighs 1, |i - j| ("linear") or (i - j)² ("quadratic"). NaN where chance
    alone never disagrees: all labels and predictions are of one class, or there are none. Cohen 1960; 1968 with
    weights. Equals `sklearn.metrics.cohen_kappa_score`.

    >>> cohen_kappa(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array(0.5, dtype=float32)
    """
    matrix = _proportions(matrix)
    weight = _disagreement(jnp.arange(matrix.shape[0], dtype=matrix.dtype), weights)
    by_chance = jnp.sum(matrix, axis=1, keepdims=True) * jnp.sum(matrix, axis=0, keepdims=True)
    observed, expected = jnp.sum(weight * matrix), jnp.sum(weight * by_chance)
    return 1 - safe_divide(observed, expected, otherwise=jnp.nan)


def _shares(matrix: Num[Array, "k k"] | Outcomes) -> Outcomes:
    """The outcomes of each class as fractions of all examples."""
    if not isinstance(matrix, Outcomes):
        return one_against_rest(_proportions(matrix))
    outcomes = outcomes_of(matrix)
    total = outcomes.true_positives + outcomes.false_positives + outcomes.false_negatives + outcomes.true_negatives
    return jax.tree.map(lambda x: safe_divide(x, total), outcomes)


def _proportions(matrix: Num[Array, "k k"]) -> Float[Array, "k k"]:
    matrix = widened(matrix)
    return safe_divide(matrix, jnp.sum(matrix, keepdims=True))


def _disagreement(place: Float[Array, " k"], weights: str | None) -> Float[Array, "k k"]:
    distance = jnp.abs(place[:, None] - place[None, :])
    if weights is None:
        return jnp.sign(distance)
    return distance if weights == "linear" else jnp.square(distance)
