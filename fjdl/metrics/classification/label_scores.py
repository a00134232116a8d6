"""Scores of all examples at once, with the names and arguments of scikit-learn.

Labels and predictions are integers or bools `[n]`; where `[n, k]` is named they may be indicators of `k` labels, where
anything but 0 is positive. `labels` is static: it may be left out where the arrays are not traced. Labels that are in
the data but not in `labels` are left out of a confusion matrix. `sample_weight` are non-negative weights, or booleans,
which select.
"""

from typing import Literal

import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.fused import fused
from fjdl.metrics.base import weight_of_each
from fjdl.metrics.classification import agreement
from fjdl.metrics.classification.confusion_table import (
    Labels as Classes,
    class_outcomes,
    columns_of,
    known_labels,
    positions,
    sum_of_others,
)
from fjdl.metrics.classification.outcomes import Outcomes
from fjdl.metrics.classification.streaming import within_top_k
from fjdl.metrics.state import amounts
from fjdl.metrics.state.sums import average, weighted_total
from fjdl.numerics import comparable, safe_divide
from fjdl.typing import Array, Bool, Float, Int, Integer, Num, Scalar, typed

Labels = Integer[Array, " n"] | Bool[Array, " n"]
Indicators = Integer[Array, "n *k"] | Bool[Array, "n *k"]
SampleWeight = Num[Array, " n"] | Bool[Array, " n"] | None


@typed
def accuracy_score(
    y_true: Indicators, y_pred: Indicators, *, normalize: bool = True, sample_weight: SampleWeight = None
) -> Scalar:
    """Fraction in [0, 1] of examples that are predicted without a mistake; NaN without examples.

    Of indicators `[n, k]`, all `k` must be right. `normalize=False` gives the number or the weight of these examples.
    Equals `sklearn.metrics.accuracy_score`.

    >>> accuracy_score(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.75, dtype=float32)
    """
    reduce = average if normalize else weighted_total
    return reduce(~jnp.any(_wrong(y_true, y_pred), axis=1), sample_weight)


@typed
def zero_one_loss(
    y_true: Indicators, y_pred: Indicators, *, normalize: bool = True, sample_weight: SampleWeight = None
) -> Scalar:
    """Fraction in [0, 1] of examples that are predicted with a mistake, 1 - `accuracy_score`; NaN without examples.

    `normalize=False` gives the number or the weight of these examples. Equals `sklearn.metrics.zero_one_loss`.

    >>> zero_one_loss(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.25, dtype=float32)
    """
    reduce = average if normalize else weighted_total
    return reduce(jnp.any(_wrong(y_true, y_pred), axis=1), sample_weight)


@typed
def hamming_loss(y_true: Indicators, y_pred: Indicators, *, sample_weight: SampleWeight = None) -> Scalar:
    """Fraction in [0, 1] of labels that are wrong: of the `k` indicators, else as `zero_one_loss`; NaN without any.

    Equals `sklearn.metrics.hamming_loss`.

    >>> hamming_loss(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.25, dtype=float32)
    """
    wrong = _wrong(y_true, y_pred)
    return average(jnp.mean(wrong, axis=1, dtype=jnp.result_type(float)), sample_weight)


@typed
def balanced_accuracy_score(
    y_true: Labels,
    y_pred: Labels,
    *,
    labels: Classes = None,
    sample_weight: SampleWeight = None,
    adjusted: bool = False,
) -> Scalar:
    """Mean recall in [0, 1] of the classes that have examples, see `balanced_accuracy`.

    Equals `sklearn.metrics.balanced_accuracy_score`, which knows no `labels`.

    >>> balanced_accuracy_score(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.75, dtype=float32)
    """
    outcomes = _outcomes(y_true, y_pred, labels, sample_weight)
    return agreement.balanced_accuracy(outcomes, adjusted=adjusted)


@typed
def matthews_corrcoef(
    y_true: Labels, y_pred: Labels, *, labels: Classes = None, sample_weight: SampleWeight = None
) -> Scalar:
    """Correlation in [-1, 1] of labels and predictions, 0 where either is constant, see `matthews_correlation`.

    Equals `sklearn.metrics.matthews_corrcoef`, which knows no `labels`.

    >>> matthews_corrcoef(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.5773..., dtype=float32)
    """
    return agreement.matthews_correlation(_outcomes(y_true, y_pred, labels, sample_weight))


@typed
def cohen_kappa_score(
    y1: Labels,
    y2: Labels,
    *,
    labels: Classes = None,
    weights: Literal["linear", "quadratic"] | None = None,
    sample_weight: SampleWeight = None,
) -> Scalar:
    """Agreement in [-1, 1] of two raters beyond chance, NaN where both are constant and equal, see `cohen_kappa`.

    The order of `labels` is their scale for the weights. In time and memory of O(n + k), without the table of all
    pairs. Equals `sklearn.metrics.cohen_kappa_score`.

    >>> cohen_kappa_score(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array(0.5, dtype=float32)
    """
    known = known_labels(labels, y1, y2)
    rows, columns = positions(y1, known), positions(y2, known)
    return _kappa(rows, columns, weight_of_each(sample_weight, y1.shape), len(known), weights)


@fused
def _kappa(
    rows: Int[Array, " n"], columns: Int[Array, " n"], each: Num[Array, " n"], k: int, weights: str | None
) -> Scalar:
    """That of two raters, by the places of their labels among the `k`."""
    each = jnp.where((rows < k) & (columns < k), each, jnp.zeros_like(each))
    distance = jnp.abs(rows - columns).astype(jnp.result_type(float))
    if weights != "linear":
        distance = jnp.sign(distance) if weights is None else jnp.square(distance)
    by_chance = _by_chance(_shares(rows, each, k), _shares(columns, each, k), weights)
    return 1 - safe_divide(average(distance, each), by_chance, otherwise=jnp.nan)


@typed
def top_k_accuracy_score(
    y_true: Integer[Array, " n"],
    y_score: Float[Array, "n k"],
    *,
    k: int = 2,
    labels: Classes = None,
    sample_weight: SampleWeight = None,
) -> Scalar:
    """Fraction in [0, 1] of examples whose label is among the `k` largest scores; NaN without examples.

    The columns are `labels`, or 0, 1, …. Ties, NaN and unknown labels are those of `within_top_k`. Equals
    `sklearn.metrics.top_k_accuracy_score` where no scores are equal: there, the higher class comes first, unknown
    labels are refused, the columns are by default the labels that occur, and binary scores are `[n]`.
    """
    return average(_hits(y_true, y_score, k, labels), sample_weight)


@typed
def top_k_error(
    y_true: Integer[Array, " n"],
    y_score: Float[Array, "n k"],
    *,
    k: int = 1,
    labels: Classes = None,
    sample_weight: SampleWeight = None,
) -> Scalar:
    """Fraction in [0, 1] of examples whose label is not among the `k` largest scores, 1 - `top_k_accuracy_score`.

    The top-1 and top-5 errors of Krizhevsky et al. 2012. NaN without examples.
    """
    return average(~_hits(y_true, y_score, k, labels), sample_weight)


def _shares(index: Array, each: Array, k: int) -> Float[Array, " k"]:
    """Which share of the weight each label has."""
    total = amounts.to_float(amounts.sum_of(each))
    return safe_divide(amounts.to_float(amounts.by_index(index, each, k)), jnp.broadcast_to(total, (k,)))


def _by_chance(p: Float[Array, " k"], q: Float[Array, " k"], weights: str | None) -> Scalar:
    """The mean distance of two independent labels, in sums of terms that are not negative."""
    if weights is None:
        return jnp.sum(p * sum_of_others(q))
    if weights == "linear":  # a step from t to t + 1 lies between two labels when one is at most t and the other beyond
        (p_low, p_high), (q_low, q_high) = ((jnp.cumsum(x)[:-1], jnp.cumsum(x[::-1])[::-1][1:]) for x in (p, q))
        return jnp.sum(p_low * q_high + q_low * p_high)
    place = jnp.arange(p.shape[0], dtype=p.dtype)
    means = [jnp.sum(x * place) for x in (p, q)]
    spreads = [jnp.sum(x * jnp.square(place - mean)) for x, mean in zip((p, q), means, strict=True)]
    several = jnp.sum(p + q > 0) > 1  # of a single label rounding leaves a spread
    return jnp.where(several, jnp.square(means[0] - means[1]) + spreads[0] + spreads[1], 0)


def _outcomes(y_true: Array, y_pred: Array, labels: Classes, sample_weight: Array | None) -> Outcomes:
    known = known_labels(labels, y_true, y_pred)
    return class_outcomes(y_true, y_pred, known, sample_weight, among_labels=True)


def _hits(y_true: Array, y_score: Array, k: int, labels: Classes) -> Bool[Array, " n"]:
    columns = y_score.shape[1]
    at_least(1, k=k)
    return within_top_k(y_score, y_true if labels is None else positions(y_true, columns_of(labels, columns)), k=k)


def _wrong(y_true: Array, y_pred: Array) -> Bool[Array, "n k"]:
    if y_true.ndim > 2:
        raise ValueError(f"y_true must have the shape (n,) or (n, k), got {y_true.shape}")
    if y_true.ndim == 2:
        return (y_true != 0) != (y_pred != 0)
    y_true, y_pred = comparable(y_true, y_pred, "y_true", "y_pred")
    return (y_true != y_pred)[:, None]
