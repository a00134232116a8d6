"""Metrics that need all scores at once, streamed: exactly by keeping them, or from a histogram of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fjdl.checks import at_least, within
from fjdl.metrics.base import Metric, Weights, selection, weight_of_each
from fjdl.metrics.ranking.ranks import is_positive, not_binary, require_binary
from fjdl.metrics.state import amounts, rows
from fjdl.metrics.state.amounts import Amount
from fjdl.numerics import safe_divide, signed, widened
from fjdl.typing import Array, Bool, Float, Integer, Num, Number, Scalar, typed

Labels = Integer[Array, "..."] | Bool[Array, "..."]


class Collected(NamedTuple):
    """The first examples that counted, and how many there were; one more than the capacity stands for too many."""

    scores: Array
    labels: Array
    weights: Array  # empty where weights only select
    seen: Array


class ScoreHistogram(NamedTuple):
    """Weight of examples by label and by the number of thresholds that their score reaches; was one unfit."""

    examples: Amount
    invalid: Array


@typed
def collected(
    score: Callable[..., Any],
    *,
    capacity: int,
    classes: int | None = None,
    multilabel: bool = False,
    weighted: bool = False,
) -> Metric:
    """The value `score(labels, scores, sample_weight=...)` of all examples, which the state keeps.

    `update(state, scores, labels, weights=None)` with one score and one label per example, with `classes` scores where
    that is given, and as many labels where `multilabel`. `score` is for instance `roc_auc_score`,
    `average_precision_score` or `roc_curve`. Its `sample_weight` are booleans, and the weights of updates 0 and 1;
    where `weighted`, both are real, and the state keeps them. The result is exactly that of all examples at once, in
    whatever order batches came and states were merged, if `score` does not depend on the order. Only examples that
    count take room. Where more than `capacity` of them came, every float of the result is NaN.
    """
    at_least(1, capacity=capacity)
    if multilabel and classes is None:
        raise ValueError("classes must be given with multilabel=True, got None")
    columns = () if classes is None else (classes,)
    label_columns = columns if multilabel else ()

    def init() -> Collected:
        scores, labels = jnp.zeros((capacity, *columns)), jnp.zeros((capacity, *label_columns), jnp.int32)
        return Collected(scores, labels, jnp.zeros(capacity if weighted else 0), jnp.zeros((), jnp.int32))

    @typed
    def update(state: Collected, scores: Float[Array, "..."], labels: Labels, weights: Weights = None) -> Collected:
        batch = scores.shape[: scores.ndim - len(columns)]
        if scores.shape != (*batch, *columns) or labels.shape != (*batch, *label_columns):
            raise ValueError(
                f"scores and labels must end in the shapes {columns} and {label_columns} after equal ones, "
                f"got {scores.shape} and {labels.shape}"
            )
        examples = scores.reshape(-1, *columns), signed(labels).reshape(-1, *label_columns)
        if weighted:
            each = weight_of_each(weights, batch).ravel()
            return _collected(rows.append(_rows(state), (*examples, each), each.astype(bool)), state.weights)
        chosen, proper = selection(weights, batch)
        added = _collected(rows.append(_rows(state), examples, chosen.ravel()), state.weights)
        return added._replace(seen=jnp.where(proper, added.seen, capacity + 1))

    @typed
    def merge(a: Collected, b: Collected) -> Collected:
        return _collected(rows.join(_rows(a), _rows(b)), a.weights)

    @typed
    def compute(state: Collected) -> Any:
        here = rows.in_use(_rows(state))
        each = jnp.where(here, state.weights, 0) if weighted else here
        result = score(state.labels, state.scores, sample_weight=each)
        return jax.tree.map(lambda x: _nan_where(state.seen > capacity, x), result)

    return Metric(init, update, merge, compute)


@typed
def score_histogram(thresholds: Float[Array, " t"]) -> Metric:
    """Number of negative (row 0) and of positive examples (row 1) whose score reaches 0, 1, … t of the thresholds.

    `update(state, scores, labels, weights=None)`; labels are booleans, or 0 and 1, or -1 and 1. The thresholds rise,
    and are concrete. The state is small and its counts exact, whatever the number of examples; the result is float32,
    and NaN where a score that counts was NaN or a traced label was another. Real weights are added up.
    `then(score_histogram(...), roc_auc_from)` streams an area, within `roc_auc_error_from`.
    """
    if isinstance(thresholds, Tracer):
        raise ValueError("thresholds must be concrete, since they choose the shape of the state, got traced ones")
    edges = np.asarray(thresholds)
    if not np.all(np.diff(edges) > 0):
        raise ValueError(f"thresholds must rise, got {edges.tolist()}")
    bins = edges.shape[0] + 1

    def init() -> ScoreHistogram:
        return ScoreHistogram(amounts.zero((2, bins)), jnp.zeros((), bool))

    @typed
    def update(
        state: ScoreHistogram,
        scores: Float[Array, "*batch"],
        labels: Integer[Array, "*batch"] | Bool[Array, "*batch"],
        weights: Weights = None,
    ) -> ScoreHistogram:
        require_binary("labels", labels, weights)
        each, scores = weight_of_each(weights, labels.shape), widened(scores)
        reached = jnp.searchsorted(jnp.asarray(edges, scores.dtype), scores, side="right")
        cell = jnp.where(each.astype(bool), is_positive(labels).astype(jnp.int32), 2) * bins + reached.astype(jnp.int32)
        table = jax.tree.map(lambda x: x.reshape(2, bins), amounts.by_index(cell, each, 2 * bins))
        invalid = jnp.any(each.astype(bool) & jnp.isnan(scores)) | not_binary(labels, weights)
        return merge(state, ScoreHistogram(table, invalid))

    @typed
    def merge(a: ScoreHistogram, b: ScoreHistogram) -> ScoreHistogram:
        return ScoreHistogram(amounts.add(a.examples, b.examples), a.invalid | b.invalid)

    @typed
    def compute(state: ScoreHistogram) -> Float[Array, "2 bins"]:
        return _nan_where(state.invalid, amounts.to_float(state.examples))

    return Metric(init, update, merge, compute)


@typed
def roc_auc_from(histogram: Num[Array, "2 bins"]) -> Scalar:
    """Area under the ROC curve of a `score_histogram`, where scores in one bin are taken for equal.

    In [0, 1]; NaN without positives or without negatives. The area of the scores themselves is at most
    `roc_auc_error_from` away, and equal to it where no threshold lies between different scores of one bin.
    """
    negatives, positives = widened(histogram)
    below = jnp.cumsum(negatives) - negatives / 2
    return _share(jnp.sum(positives * _share(below, jnp.sum(negatives))), jnp.sum(positives))


@typed
def roc_auc_error_from(histogram: Num[Array, "2 bins"]) -> Scalar:
    """Largest possible distance between `roc_auc_from` and the area of the scores themselves, `Σ_b P_b N_b / 2PN`."""
    negatives, positives = widened(histogram)
    tied = jnp.sum(_share(positives, jnp.sum(positives)) * _share(negatives, jnp.sum(negatives)))
    return tied / 2


@typed
def average_precision_from(histogram: Num[Array, "2 bins"]) -> Scalar:
    """Average precision of a `score_histogram`, where scores in one bin are taken for equal.

    In (0, 1]; NaN without positives. That of the scores themselves is at most `average_precision_error_from` away.
    """
    false, found, positives = _from_the_top(histogram)
    return _share(jnp.sum(positives * safe_divide(found, found + false)), found[-1])


@typed
def average_precision_error_from(histogram: Num[Array, "2 bins"], *, least_weight: Number = 1.0) -> Scalar:
    """Bound of the distance between `average_precision_from` and the average precision of the scores themselves.

    With TP and FP above a bin of p positives and n negatives, each of these positives has a precision between
    `(TP + w) / (TP + w + FP + n)` and `(TP + p) / (TP + p + FP)`, where `w` is the `least_weight` of a positive example
    that counts: 1 without weights. Raises `ValueError` unless that is positive.
    """
    within("(0, inf)", least_weight=least_weight)
    false, found, positives = _from_the_top(histogram)
    before = false - jnp.flip(widened(histogram)[0])
    lowest, highest = found - positives + least_weight, safe_divide(found, found + before)
    here, lowest = safe_divide(found, found + false), lowest / (lowest + false)
    return _share(jnp.sum(positives * jnp.maximum(highest - here, here - lowest)), found[-1])


def _rows(state: Collected) -> rows.Rows:
    """The columns that have room for examples."""
    return rows.Rows((state.scores, state.labels, *([state.weights] if state.weights.size else [])), state.seen)


def _collected(kept: rows.Rows, weights: Array) -> Collected:
    """The state of these rows; `weights` are those of a state that keeps none."""
    scores, labels, *own = kept.columns
    return Collected(scores, labels, own[0] if own else weights, kept.seen)


def _from_the_top(histogram: Num[Array, "2 bins"]) -> tuple[Array, Array, Array]:
    """Negatives and positives in each bin and those above it, and the positives in it, from the highest bin on."""
    negatives, positives = jnp.flip(widened(histogram), axis=1)
    return jnp.cumsum(negatives), jnp.cumsum(positives), positives


def _share(part: Float[Array, "..."], whole: Float[Array, ""]) -> Float[Array, "..."]:
    return safe_divide(part, jnp.broadcast_to(whole, part.shape), otherwise=jnp.nan)


def _nan_where(condition: Bool[Array, ""], x: Array) -> Array:
    return jnp.where(condition, jnp.nan, x) if jnp.issubdtype(x.dtype, jnp.floating) else x
