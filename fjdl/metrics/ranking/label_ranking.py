"""How well scores rank the labels or documents of each example, `[n, k]`: gains, precision, loss and coverage.

Labels are indicators `[n, k]` as in `roc_auc_score`, or real relevances for gains. Scores that are equal count as
scikit-learn counts them. A NaN among the scores of an example that counts makes the result NaN. Over batches they are
`update(state, scores, labels, weights=None)`.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import at_least
from fjdl.fused import fused
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.ranking.ranks import is_positive, not_binary, require_binary, search, sort_keys
from fjdl.metrics.state.mean import MeanState, mean
from fjdl.metrics.state.sums import average
from fjdl.numerics import safe_divide, wide, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, Num, Scalar, typed

SampleWeight = Num[Array, " n"] | Bool[Array, " n"] | None
Indicators = Integer[Array, "n k"] | Bool[Array, "n k"]


@typed
def dcg_score(
    y_true: Num[Array, "n k"],
    y_score: Float[Array, "n k"],
    *,
    k: int | None = None,
    log_base: float = 2.0,
    sample_weight: SampleWeight = None,
) -> Scalar:
    """Mean discounted cumulative gain, `Σ relevance / log_base(1 + rank)` over the `k` highest scores, or over all.

    Equal scores share their ranks: each has the mean of the discounts. Järvelin and Kekäläinen 2002.
    Equals `sklearn.metrics.dcg_score`.

    >>> dcg_score(jnp.array([[1, 0]]), jnp.array([[0.9, 0.1]]))
    Array(1., dtype=float32)
    """
    return average(_gains(y_true, y_score, k, log_base), sample_weight)


@typed
def ndcg_score(
    y_true: Num[Array, "n k"],
    y_score: Float[Array, "n k"],
    *,
    k: int | None = None,
    sample_weight: SampleWeight = None,
) -> Scalar:
    """Mean over the examples of the discounted cumulative gain over the highest possible, in [0, 1].

    0 for an example without relevance; a negative relevance makes it NaN, where scikit-learn refuses it.
    Equals `sklearn.metrics.ndcg_score`.

    >>> ndcg_score(jnp.array([[1, 0]]), jnp.array([[0.9, 0.1]]))
    Array(1., dtype=float32)
    """
    return average(_normalized_gains(y_true, y_score, k), sample_weight)


@typed
def label_ranking_average_precision_score(
    y_true: Indicators, y_score: Float[Array, "n k"], *, sample_weight: SampleWeight = None
) -> Scalar:
    """Mean over the labels of an example of the share of its labels among all that score as high, then over examples.

    In (0, 1]; 1 for an example with no label or with all. Equals
    `sklearn.metrics.label_ranking_average_precision_score`.
    """
    return average(_checked(_precision, y_true, y_score, sample_weight), sample_weight)


@typed
def label_ranking_loss(
    y_true: Indicators, y_score: Float[Array, "n k"], *, sample_weight: SampleWeight = None
) -> Scalar:
    """Mean over examples of the share of pairs of a label and another whose scores are in the wrong order or equal.

    In [0, 1]; 0 for an example with no label or with all. Tsoumakas et al. 2010.
    Equals `sklearn.metrics.label_ranking_loss`.
    """
    return average(_checked(_wrong_pairs, y_true, y_score, sample_weight), sample_weight)


@typed
def coverage_error(y_true: Indicators, y_score: Float[Array, "n k"], *, sample_weight: SampleWeight = None) -> Scalar:
    """Mean over examples of how many of the highest scores it takes to cover all labels; 0 for one with no label.

    Equals `sklearn.metrics.coverage_error`.

    >>> coverage_error(jnp.array([[1, 0]]), jnp.array([[0.1, 0.9]]))
    Array(2., dtype=float32)
    """
    return average(_checked(_coverage, y_true, y_score, sample_weight), sample_weight)


@streaming("ndcg_score(y_true, y_score)")
def ndcg(*, k: int | None = None) -> Metric:
    """Mean normalized discounted cumulative gain over all batches, as in `ndcg_score`; NaN when nothing was seen."""
    if k is not None:
        at_least(1, k=k)
    return _streamed(lambda labels, scores, weights: _normalized_gains(labels, scores, k))


@streaming("label_ranking_average_precision_score(y_true, y_score)")
def label_ranking_average_precision() -> Metric:
    """Mean of `label_ranking_average_precision_score` over all batches; NaN when nothing was seen."""
    return _streamed(lambda labels, scores, weights: _checked(_precision, labels, scores, weights))


@streaming("label_ranking_loss(y_true, y_score)")
def label_ranking_error() -> Metric:
    """Mean of `label_ranking_loss` over all batches; NaN when nothing was seen."""
    return _streamed(lambda labels, scores, weights: _checked(_wrong_pairs, labels, scores, weights))


@streaming("coverage_error(y_true, y_score)")
def coverage() -> Metric:
    """Mean of `coverage_error` over all batches; NaN when nothing was seen."""
    return _streamed(lambda labels, scores, weights: _checked(_coverage, labels, scores, weights))


def _streamed(per_example: Callable[[Array, Array, Weights], Array]) -> Metric:
    running = mean()

    @typed
    def update(
        state: MeanState, scores: Float[Array, "n k"], labels: Num[Array, "n k"] | Bool[Array, "n k"],
        weights: Weights = None,
    ) -> MeanState:  # fmt: skip
        each = weight_of_each(weights, labels.shape[:1])
        return running.update(state, per_example(labels, scores, weights), weights=each)

    return running._replace(update=update)


def _gains(y_true: Array, y_score: Array, k: int | None, log_base: float = 2.0) -> Float[Array, " n"]:
    if k is not None:
        at_least(1, k=k)
    if not log_base > 1:
        raise ValueError(f"log_base must be above 1, got {log_base}")
    return _discounted(y_true, y_score, k, log_base)


@fused
def _discounted(y_true: Array, y_score: Array, k: int | None, log_base: float) -> Float[Array, " n"]:
    dtype = wide(y_score.dtype)
    place = jnp.arange(y_score.shape[1], dtype=jnp.int32)
    discounts = math.log(log_base) / jnp.log(place.astype(dtype) + 2)
    discounts = discounts if k is None else jnp.where(place < k, discounts, 0)
    summed = jnp.concatenate([jnp.zeros(1, dtype), jnp.cumsum(discounts)])
    above, with_equal = _above(y_score, jnp.ones(y_score.shape, bool))
    own = (summed[with_equal] - summed[above]) / jnp.maximum(with_equal - above, 1).astype(dtype)
    gains = jnp.sum(widened(y_true).astype(dtype) * own, axis=1)
    return jnp.where(jnp.any(jnp.isnan(y_score), axis=1), jnp.nan, gains)


@fused
def _normalized_gains(y_true: Array, y_score: Array, k: int | None) -> Float[Array, " n"]:
    y_true = widened(y_true).astype(wide(y_score.dtype))
    share = safe_divide(_gains(y_true, y_score, k), _gains(y_true, y_true, k))
    return jnp.where(jnp.any(y_true < 0, axis=1), jnp.nan, share)


def _checked(
    per_example: Callable[[Array, Array], Array], y_true: Array, y_score: Array, weights: Weights
) -> Float[Array, " n"]:
    require_binary("y_true", y_true, weights)
    values = per_example(is_positive(y_true), y_score)
    unfit = jnp.any(jnp.isnan(y_score), axis=1) | not_binary(y_true, weights)
    return jnp.where(unfit, jnp.nan, values)


@jax.jit
def _precision(positive: Bool[Array, "n k"], scores: Float[Array, "n k"]) -> Float[Array, " n"]:
    dtype = wide(scores.dtype)
    rank, among_labels = (_above(scores, kind)[1].astype(dtype) for kind in (jnp.ones_like(positive), positive))
    shares = jnp.where(positive, among_labels / rank, 0)
    found = jnp.sum(positive, axis=1, dtype=jnp.int32)
    trivial = (found == 0) | (found == positive.shape[1])
    return jnp.where(trivial, 1, safe_divide(jnp.sum(shares, axis=1), found.astype(dtype)))


@jax.jit
def _wrong_pairs(positive: Bool[Array, "n k"], scores: Float[Array, "n k"]) -> Float[Array, " n"]:
    dtype = wide(scores.dtype)
    found = jnp.sum(positive, axis=1, dtype=jnp.int32)
    others = (positive.shape[1] - found).astype(dtype)
    shares = safe_divide(_above(scores, ~positive)[1].astype(dtype), jnp.broadcast_to(others[:, None], scores.shape))
    return safe_divide(jnp.sum(jnp.where(positive, shares, 0), axis=1), found.astype(dtype))


@jax.jit
def _coverage(positive: Bool[Array, "n k"], scores: Float[Array, "n k"]) -> Float[Array, " n"]:
    rank = _above(scores, jnp.ones_like(positive))[1]
    return jnp.max(jnp.where(positive, rank, 0), axis=1, initial=0).astype(wide(scores.dtype))


def _above(scores: Float[Array, "n k"], chosen: Bool[Array, "n k"]) -> tuple[Int[Array, "n k"], Int[Array, "n k"]]:
    """How many of the chosen scores of a row are above each of its scores, and how many are at least that."""
    keys = sort_keys(scores)
    ordered = lax.sort(jnp.where(chosen, keys, jnp.iinfo(keys.dtype).min), dimension=1, is_stable=False)
    below, up_to = jax.vmap(search)(ordered, keys)
    return scores.shape[1] - up_to, scores.shape[1] - below
