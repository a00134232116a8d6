"""Curves over all thresholds of a score: receiver operating characteristic, and precision against recall."""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.metrics.ranking.ranks import cumulative, example_weights, is_positive, not_binary, require_binary
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Bool, Float, Integer, Num, Scalar, typed


class RocCurve(NamedTuple):
    """Points from (0, 0), whose threshold is inf, to (1, 1)."""

    fpr: Float[Array, " points"]
    tpr: Float[Array, " points"]
    thresholds: Float[Array, " points"]


class DetCurve(NamedTuple):
    """Points from the lowest threshold, where no positive is missed, to the threshold inf, where all are."""

    fpr: Float[Array, " points"]
    fnr: Float[Array, " points"]
    thresholds: Float[Array, " points"]


class PrecisionRecallCurve(NamedTuple):
    """Points from the lowest threshold, where the recall is 1, to recall 0 and precision 1, which have no threshold."""

    precision: Float[Array, " points"]
    recall: Float[Array, " points"]
    thresholds: Float[Array, " n"]


Curve = TypeVar("Curve", RocCurve, DetCurve, PrecisionRecallCurve)


@typed
def roc_curve(
    y_true: Integer[Array, " n"] | Bool[Array, " n"],
    y_score: Float[Array, " n"],
    *,
    sample_weight: Num[Array, " n"] | Bool[Array, " n"] | None = None,
) -> RocCurve:
    """False positive rate FP / N and true positive rate TP / P of calling scores of at least a threshold positive.

    Labels are booleans, or 0 and 1, or -1 and 1; others are refused, and where they are traced everything is NaN.
    There are n + 1 points: (0, 0), then one per example by falling
    score. Examples of one score share a point, which is repeated, and examples of weight 0 repeat the last point. So
    the polyline is that of the distinct points, which `drop_repeated` selects. A rate of no examples is NaN; a NaN
    among the scores that count makes everything NaN. Weights are not negative. Source: Fawcett 2006.
    `drop_repeated` of the result equals `sklearn.metrics.roc_curve(drop_intermediate=False)`.
    """
    require_binary("y_true", y_true, sample_weight)
    weights = example_weights(y_score, sample_weight)
    found, false, thresholds = cumulative(is_positive(y_true), y_score, weights)
    curve = RocCurve(_share(false, thresholds), _share(found, thresholds), _after(jnp.inf, thresholds))
    return _nan_where(_any_nan(y_score, weights) | not_binary(y_true, weights), curve)


@typed
def det_curve(
    y_true: Integer[Array, " n"] | Bool[Array, " n"],
    y_score: Float[Array, " n"],
    *,
    sample_weight: Num[Array, " n"] | Bool[Array, " n"] | None = None,
) -> DetCurve:
    """False positive rate FP / N and false negative rate FN / P of calling scores of at least a threshold positive.

    Detection error tradeoff: the points of `roc_curve` from the lowest threshold on, with `1 - tpr` as a sum of its
    own. Labels, repeated points, NaN and weights are those of `roc_curve`. Martin et al. 1997.
    `drop_repeated` of the result holds the points of `sklearn.metrics.det_curve`, which leaves out those below the
    first without a false negative and those above the last without a false positive.
    """
    require_binary("y_true", y_true, sample_weight)
    weights = example_weights(y_score, sample_weight)
    found, false, thresholds = cumulative(is_positive(y_true), y_score, weights)
    missed = _after(0, found)[-1:] - _after(0, found)
    share = safe_divide(missed.astype(thresholds.dtype), missed[:1].astype(thresholds.dtype), otherwise=jnp.nan)
    curve = DetCurve(*[x[::-1] for x in (_share(false, thresholds), share, _after(jnp.inf, thresholds))])
    return _nan_where(_any_nan(y_score, weights) | not_binary(y_true, weights), curve)


@typed
def precision_recall_curve(
    y_true: Integer[Array, " n"] | Bool[Array, " n"],
    y_score: Float[Array, " n"],
    *,
    sample_weight: Num[Array, " n"] | Bool[Array, " n"] | None = None,
) -> PrecisionRecallCurve:
    """Precision TP / (TP + FP) and recall TP / P of calling scores of at least a threshold positive.

    Labels are those of `roc_curve`. There are n thresholds, the scores in rising order, and n + 1
    points, of which the last is recall 0 and precision 1. Examples of one score share a point, which is repeated, and
    examples of weight 0 repeat the first point; `drop_repeated` selects the distinct ones. Without positives the
    recall is NaN; a NaN among the scores that count makes everything NaN. Weights are not negative.
    `drop_repeated` of the result equals `sklearn.metrics.precision_recall_curve`, which calls the recall 1 where there
    are no positives.
    """
    require_binary("y_true", y_true, sample_weight)
    weights = example_weights(y_score, sample_weight)
    found, false, thresholds = cumulative(is_positive(y_true), y_score, weights)
    precision = safe_divide(found.astype(thresholds.dtype), (found + false).astype(thresholds.dtype))
    falling = _after(1, precision), _share(found, thresholds), thresholds
    curve = PrecisionRecallCurve(*[x[::-1] for x in falling])
    return _nan_where(_any_nan(y_score, weights) | not_binary(y_true, weights), curve)


@typed
def auc(x: Float[Array, " points"], y: Float[Array, " points"]) -> Scalar:
    """Area under the polyline through the points, `Σ (x₂ - x₁) (y₁ + y₂) / 2`, by the trapezoidal rule.

    `x` rises from the first to the last point, or falls, and the area has the sign of `y` for both. That it does so
    throughout is not checked. 0 for a single point. Equals `sklearn.metrics.auc`.

    >>> auc(jnp.array([0.0, 0.5, 1.0]), jnp.array([0.0, 1.0, 1.0]))
    Array(0.75, dtype=float32)
    """
    x, y = widened(x), widened(y)
    steps = jnp.diff(x)
    area = jnp.sum(steps * (y[1:] + y[:-1])) / 2
    return jnp.where(jnp.sum(steps) < 0, -area, area)


@typed
def drop_repeated(curve: Curve) -> Curve:
    """The curve as numpy arrays with one point per distinct threshold, in the lengths of scikit-learn.

    For concrete arrays, since how many there are depends on the values: it does not work under `jit`.
    """
    if isinstance(curve, DetCurve):
        return type(curve)._make(x[::-1] for x in drop_repeated(RocCurve(*[x[::-1] for x in curve])))
    size = curve[0].shape[0] - 1
    thresholds = np.asarray(curve.thresholds)[-size:] if size else np.zeros(0)
    first = np.concatenate([np.full(min(size, 1), True), thresholds[1:] != thresholds[:-1]])
    extra = np.array([True])
    leading = isinstance(curve, RocCurve)
    kept = np.concatenate([extra, first] if leading else [first, extra])
    return type(curve)._make(np.asarray(x)[kept if len(x) == size + 1 else first] for x in curve)


def _share(part: Num[Array, " n"], thresholds: Float[Array, " n"]) -> Float[Array, " points"]:
    """Which share of the whole each part is, after none of it.

    The minimum keeps a difference of shares from being compiled to one of unrounded quotients, which do not add up.
    """
    part = _after(0, part).astype(thresholds.dtype)
    return jnp.minimum(safe_divide(part, part[-1:], otherwise=jnp.nan), 1)


def _after(first: float, values: Num[Array, " n"]) -> Num[Array, " points"]:
    return jnp.concatenate([jnp.full(1, first, values.dtype), values])


def _any_nan(scores: Float[Array, " n"], weights: Num[Array, " n"] | Bool[Array, " n"]) -> Bool[Array, ""]:
    return jnp.any(jnp.isnan(scores) & weights.astype(bool))


def _nan_where(condition: Bool[Array, ""], curve: Curve) -> Curve:
    return jax.tree.map(lambda x: jnp.where(condition, jnp.nan, x), curve)
