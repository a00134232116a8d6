"""Areas under the curves of a score, for two classes, several classes, and several labels at once."""

from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import one_of, within
from fjdl.fused import fused
from fjdl.metrics.ranking.ranks import (
    Places,
    cumulative,
    example_weights,
    is_positive,
    not_binary,
    require_binary,
    search,
    sort_keys,
    sum_over_positives,
)
from fjdl.metrics.state import sums
from fjdl.numerics import safe_divide, signed, wide, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, Num, Scalar, typed

Score = Callable[[Array, Array, Array], Array]


@typed
def roc_auc_score(
    y_true: Integer[Array, "n *classes"] | Bool[Array, "n *classes"],
    y_score: Float[Array, "n *k"],
    *,
    average: str | None = "macro",
    sample_weight: Num[Array, " n"] | Bool[Array, " n"] | None = None,
    multi_class: str = "ovr",
    max_fpr: float | None = None,
) -> Float[Array, "..."]:
    """Probability in [0, 1] that a positive scores above a negative, ties counting half: the area under `roc_curve`.

    Two classes: `y_true` and `y_score` of shape [n]; labels are booleans, or 0 and 1, or -1 and 1. Others are refused,
    and where they are traced make the result NaN. Several labels: both of shape [n, k], averaged over the k labels.
    Several classes: labels in [0, k) of shape [n] and scores [n, k]. There "ovr" takes each class against all others,
    and "ovo" each pair of classes among the examples of both (Hand and Till 2001), and `sample_weight` may then only
    select, by booleans.
    `average` is "macro", "weighted" (by the weight of the examples of the class or pair), "micro" (all decisions
    pooled), "samples" (one value per example, of its labels) or None (one value per class); "ovo" knows the first two.
    `max_fpr` in (0, 1) takes the area up to that false positive rate alone, for two classes or several labels, scaled
    so that ½ is chance and 1 is perfect (McClish 1989).

    A class without positives or without negatives has the value NaN and is left out of the average; how many were
    not is told by `average_defined(roc_auc_score(..., average=None))`. A NaN among the scores that count, or a label
    out of range there, makes everything NaN. Counts are exact, in O(kn log n). Weights are not negative, and
    examples of weight 0 do not count. Equals `sklearn.metrics.roc_auc_score`, which asks for probabilities that sum
    to 1, and whose average is NaN where a class is absent.

    >>> roc_auc_score(jnp.array([0, 1, 0, 1]), jnp.array([0.1, 0.4, 0.6, 0.8]))
    Array(0.75, dtype=float32)
    """
    _check(y_true, y_score, average, sample_weight)
    one_of(("ovr", "ovo"), multi_class=multi_class)
    weights = example_weights(y_score, sample_weight)
    score = _area
    if max_fpr is not None:
        within("(0, 1]", max_fpr=max_fpr)
        if y_true.ndim < y_score.ndim:
            raise ValueError(f"max_fpr must be None for several classes, got {max_fpr}")
        score = _area if max_fpr == 1 else _partial_area(float(max_fpr))
    if multi_class == "ovr" or y_score.ndim == y_true.ndim:
        return _averaged(score, y_true, y_score, average, weights)
    if average not in ("macro", "weighted"):
        raise ValueError(f"average must be 'macro' or 'weighted' with multi_class='ovo', got {average!r}")
    if weights.dtype != bool:
        raise ValueError(f"sample_weight must be boolean with multi_class='ovo', got {weights.dtype}")
    return _valid_or_nan(_one_versus_one(y_true, y_score, weights, average), y_true, y_score, weights)


@typed
def average_precision_score(
    y_true: Integer[Array, "n *classes"] | Bool[Array, "n *classes"],
    y_score: Float[Array, "n *k"],
    *,
    average: str | None = "macro",
    sample_weight: Num[Array, " n"] | Bool[Array, " n"] | None = None,
) -> Float[Array, "..."]:
    """Mean over the positives of the precision at their score, `Σ (R_i - R_{i-1}) P_i` without interpolation.

    In (0, 1]. Shapes, `average`, weights and NaN are those of `roc_auc_score`, several classes being taken each
    against all others. A class without positives has the value NaN and is left out of the average, where
    `sklearn.metrics.average_precision_score` warns and calls it 0; a class without negatives has the value 1.
    Otherwise equals that function.

    >>> average_precision_score(jnp.array([0, 1, 0, 1]), jnp.array([0.1, 0.4, 0.6, 0.8]))
    Array(0.8333..., dtype=float32)
    """
    _check(y_true, y_score, average, sample_weight)
    weights = example_weights(y_score, sample_weight)
    return _averaged(_step_sum, y_true, y_score, average, weights)


@typed
@fused
def average_defined(
    values: Float[Array, " k"], *, weights: Num[Array, " k"] | None = None
) -> tuple[Scalar, Int[Array, ""]]:
    """Weighted mean of the values that are not NaN, and how many those are; NaN and 0 where all are NaN.

    Equals `numpy.nanmean` without weights.
    """
    values = widened(values)
    defined = ~jnp.isnan(values)
    weights = jnp.ones_like(values) if weights is None else jnp.asarray(weights).astype(values.dtype)
    weights = jnp.where(defined, weights, 0)
    total = jnp.sum(weights * jnp.where(defined, values, 0))
    return safe_divide(total, jnp.sum(weights), otherwise=jnp.nan), jnp.sum(defined, dtype=jnp.int32)


def _check(y_true: Array, y_score: Array, average: str | None, sample_weight: Array | None) -> None:
    one_of(("macro", "weighted", "micro", "samples", None), average=average)
    if average == "samples" and y_true.ndim < 2:
        raise ValueError(f"average must not be 'samples' without several labels, got y_true of shape {y_true.shape}")
    if y_true.shape not in (y_score.shape, y_score.shape[:1]) or y_score.ndim > 2:
        raise ValueError(f"y_true must be of shape [n] or that of y_score, {y_score.shape}, got {y_true.shape}")
    if y_true.ndim < y_score.ndim and y_score.shape[1] < 2:
        raise ValueError(f"y_score must have a column for each of at least 2 classes, got {y_score.shape}")
    if y_true.ndim == y_score.ndim:
        require_binary("y_true", y_true, sample_weight)


@partial(jax.jit, static_argnums=(0, 3))
def _averaged(score: Score, y_true: Array, y_score: Array, average: str | None, weights: Array) -> Array:
    """The score of one class, of all decisions pooled, or of each class against all others."""
    if y_score.ndim == 1:
        result = score(is_positive(y_true), y_score, weights)
    elif average == "micro":
        positive = is_positive(y_true) if y_true.ndim == 2 else jax.nn.one_hot(y_true, y_score.shape[1], dtype=bool)
        result = score(positive.ravel(), y_score.ravel(), jnp.repeat(weights, y_score.shape[1]))
    elif average == "samples":
        everything = jnp.ones(y_score.shape, bool)
        values = jax.vmap(score)(is_positive(y_true), y_score, everything)
        result = average_defined(values, weights=weights.astype(values.dtype))[0]
    else:
        values, found = _one_versus_rest(score, y_true, y_score, weights)
        amounts = found if average == "weighted" else None
        result = values if average is None else average_defined(values, weights=amounts)[0]
    return _valid_or_nan(result, y_true, y_score, weights)


def _one_versus_rest(score: Score, y_true: Array, y_score: Array, weights: Array) -> tuple[Array, Array]:
    """The score of each class and the weight of its positives, one column of scores at a time."""
    labels = signed(y_true, name="y_true")

    def of_class(index: Array) -> tuple[Array, Array]:
        positive = is_positive(_column(y_true, index)) if y_true.ndim == 2 else labels == index.astype(labels.dtype)
        found = jnp.sum(jnp.where(positive, weights, jnp.zeros_like(weights)), dtype=wide(y_score.dtype))
        return score(positive, _column(y_score, index), weights), found

    return lax.map(of_class, jnp.arange(y_score.shape[1], dtype=jnp.int32))


def _area(positive: Array, scores: Array, weights: Array) -> Array:
    """The area under the ROC curve, from the number of negatives below each positive where weights only select."""
    if weights.dtype != bool:
        found, false, _ = cumulative(positive, scores, weights)
        area = jnp.sum(_steps(false) * (found - _steps(found) / 2))
        return safe_divide(area, jnp.max(found, initial=0) * jnp.max(false, initial=0), otherwise=jnp.nan)
    found, others = jnp.sum(positive & weights, dtype=jnp.int32), jnp.sum(~positive & weights, dtype=jnp.int32)
    dtype = wide(scores.dtype)

    def share_below(at: Places) -> Array:
        below, up_to = at.below - at.positives_below, at.up_to - at.positives_up_to
        return (below.astype(dtype) + (up_to - below).astype(dtype) / 2) / jnp.maximum(others, 1).astype(dtype)

    area = sum_over_positives(positive, scores, weights, share_below)
    return jnp.where(others > 0, safe_divide(area, found.astype(dtype), otherwise=jnp.nan), jnp.nan)


@cache
def _partial_area(max_fpr: float) -> Score:
    """The area up to a false positive rate, as a function that `jax.jit` knows again."""

    def area(positive: Array, scores: Array, weights: Array) -> Array:
        found, false, _ = cumulative(positive, scores, weights)
        dtype = wide(scores.dtype)
        zero = jnp.zeros(1, dtype)
        fpr, tpr = (
            jnp.concatenate([zero, safe_divide(x.astype(dtype), jnp.max(x, initial=0).astype(dtype)[None])])
            for x in (false, found)
        )
        width, height = jnp.diff(fpr), jnp.diff(tpr)
        inside = jnp.clip(max_fpr - fpr[:-1], 0, width)
        total = jnp.sum(inside * (tpr[:-1] + safe_divide(inside, width) * height / 2))
        defined = (jnp.max(found, initial=0) > 0) & (jnp.max(false, initial=0) > 0)
        least = max_fpr**2 / 2
        return jnp.where(defined, (1 + (total - least) / (max_fpr - least)) / 2, jnp.nan)

    return area


def _step_sum(positive: Array, scores: Array, weights: Array) -> Array:
    """The average precision, from the precision at each positive where weights only select."""
    dtype = wide(scores.dtype)
    if weights.dtype != bool:
        found, false, _ = cumulative(positive, scores, weights)
        total = jnp.sum(_steps(found) * safe_divide(found, found + false))
        return safe_divide(total, jnp.max(found, initial=0), otherwise=jnp.nan)
    found, counted = jnp.sum(positive & weights, dtype=jnp.int32), jnp.sum(weights, dtype=jnp.int32)

    def precision(at: Places) -> Array:
        return (found - at.positives_below).astype(dtype) / jnp.maximum(counted - at.below, 1).astype(dtype)

    total = sum_over_positives(positive, scores, weights, precision)
    return safe_divide(total, found.astype(dtype), otherwise=jnp.nan)


@partial(jax.jit, static_argnums=3)
def _one_versus_one(y_true: Array, y_score: Array, counted: Array, average: str | None) -> Array:
    """The mean of both areas of each pair of classes, averaged over the pairs."""
    classes, dtype = y_score.shape[1], wide(y_score.dtype)
    labels = jnp.where(counted, signed(y_true, name="y_true"), -1)
    sizes = jax.ops.segment_sum(counted.astype(jnp.int32), labels, classes).astype(dtype)

    def column(index: Array) -> Array:
        shares = _share_above(labels == index.astype(labels.dtype), _column(y_score, index))
        return sums.to_float(sums.by_index(shares, labels, classes))

    above = lax.map(column, jnp.arange(classes, dtype=jnp.int32))
    areas = safe_divide(above, jnp.broadcast_to(sizes[None], above.shape), otherwise=jnp.nan)
    pairs = jnp.where(jnp.triu(jnp.ones(areas.shape, bool), 1), (areas + areas.T) / 2, jnp.nan)
    amounts = (sizes[:, None] + sizes[None]).ravel() if average == "weighted" else None
    return average_defined(pairs.ravel(), weights=amounts)[0]


def _share_above(positive: Array, scores: Array) -> Array:
    """Which share of the positives scores above each example, ties counting half; NaN without positives."""
    keys, dtype = sort_keys(scores), wide(scores.dtype)
    ordered = lax.sort(jnp.where(positive, keys, jnp.iinfo(keys.dtype).min), is_stable=False)
    below, up_to = search(ordered, keys)
    above = (scores.shape[0] - up_to).astype(dtype) + (scores.shape[0] - below).astype(dtype)
    return safe_divide(above / 2, jnp.sum(positive, dtype=jnp.int32).astype(dtype), otherwise=jnp.nan)


def _valid_or_nan(result: Array, y_true: Array, y_score: Array, weights: Array) -> Array:
    """NaN unless every score that counts is a number and every label that counts is a class."""
    numbers = ~jnp.any(jnp.isnan(y_score), axis=tuple(range(1, y_score.ndim)))
    if y_true.ndim < y_score.ndim:
        numbers &= (signed(y_true, name="y_true") >= 0) & (signed(y_true, name="y_true") < y_score.shape[1])
    valid = jnp.all(numbers | ~weights.astype(bool))
    if y_true.ndim == y_score.ndim:
        valid &= ~not_binary(y_true, weights)
    return jnp.where(valid, result, jnp.nan)


def _steps(cumulated: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.diff(cumulated, prepend=jnp.zeros_like(cumulated[:1]))


def _column(matrix: Array, index: Array) -> Array:
    return lax.dynamic_index_in_dim(matrix, index, axis=1, keepdims=False)
