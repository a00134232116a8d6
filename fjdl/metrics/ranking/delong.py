"""Variance of the area under the ROC curve, its interval, and the comparison of two areas (DeLong et al. 1988)."""

from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import within
from fjdl.metrics.ranking.ranks import is_positive, not_binary, require_binary, search, sort_keys
from fjdl.numerics import safe_divide, wide
from fjdl.typing import Array, Bool, Float, Integer, Scalar, typed


@typed
def delong_covariance(
    y_true: Integer[Array, " n"] | Bool[Array, " n"], y_scores: Float[Array, "n raters"]
) -> tuple[Float[Array, " raters"], Float[Array, "raters raters"]]:
    """Areas under the ROC curves of several scores of the same examples, and the covariance of these estimates.

    Labels are those of `roc_auc_score`. `S₁₀ / P + S₀₁ / N`, where S₁₀ is the sample covariance over the
    positives of the share of negatives that each outranks, and S₀₁ that over the negatives of the share of positives
    that outrank them, ties counting half. NaN with fewer than two positives or negatives, or with a NaN score.
    By ranks in O(n log n) (Sun and Xu 2014), exactly.
    """
    positive, proper = _positives(y_true)
    return _areas(positive, proper, y_scores)


@jax.jit
def _areas(positive: Bool[Array, " n"], proper: Bool[Array, ""], y_scores: Float[Array, "n raters"]) -> Any:
    """The areas, and the covariance of their estimates, NaN where the labels are not of one pair."""
    shares = jax.vmap(lambda scores: _shares(positive, scores), in_axes=1)(y_scores)
    areas = _mean(shares, positive)
    covariance = _covariance_of_mean(shares, positive) + _covariance_of_mean(shares, ~positive)
    valid = proper & ~jnp.any(jnp.isnan(y_scores), axis=0)
    return jnp.where(valid, areas, jnp.nan), jnp.where(valid[:, None] & valid[None], covariance, jnp.nan)


@typed
def delong_interval(
    y_true: Integer[Array, " n"] | Bool[Array, " n"], y_score: Float[Array, " n"], *, confidence: float = 0.95
) -> tuple[Scalar, Scalar]:
    """Lowest and highest area under the ROC curve compatible with the examples, `A ± z √V` cut off at 0 and 1.

    With the variance V of `delong_covariance`; where the classes are separated, V = 0 and both ends are A.
    """
    within("(0, 1)", confidence=confidence)
    area, covariance = delong_covariance(y_true, y_score[:, None])
    reach = -NormalDist().inv_cdf((1 - confidence) / 2) * jnp.sqrt(covariance[0, 0])
    return jnp.clip(area[0] - reach, 0, 1), jnp.clip(area[0] + reach, 0, 1)


@typed
def delong_test(
    y_true: Integer[Array, " n"] | Bool[Array, " n"], y_score_a: Float[Array, " n"], y_score_b: Float[Array, " n"]
) -> tuple[Scalar, Scalar]:
    """Difference of the areas under the ROC curves of two scores of the same examples, in standard errors, and p-value.

    `z = (A - B) / √(V_A + V_B - 2 C_AB)` and `p = 2 Φ(-|z|)`, with `delong_covariance`. Equal areas of equal shares
    give z = 0 and p = 1; different areas without variance give z = ±∞ and p = 0.
    """
    positive, proper = _positives(y_true)
    return _compared(positive, proper, y_score_a, y_score_b)


@jax.jit
def _compared(positive: Bool[Array, " n"], proper: Bool[Array, ""], y_score_a: Array, y_score_b: Array) -> Any:
    """The difference of both areas in standard errors, and its p-value."""
    shares_a, shares_b = _shares(positive, y_score_a), _shares(positive, y_score_b)
    difference = jnp.stack([shares_a - shares_b])
    variance = _covariance_of_mean(difference, positive) + _covariance_of_mean(difference, ~positive)
    gap = _mean(difference, positive)[0]
    z = jnp.where(gap == 0, 0, gap / jnp.sqrt(variance[0, 0]))
    valid = proper & ~jnp.any(jnp.isnan(y_score_a) | jnp.isnan(y_score_b)) & ~jnp.isnan(variance[0, 0])
    z = jnp.where(valid, z, jnp.nan)
    return z, lax.erfc(jnp.abs(z) / jnp.sqrt(2.0).astype(z.dtype))


def _positives(y_true: Array) -> tuple[Bool[Array, " n"], Bool[Array, ""]]:
    """Which examples are positive, and whether all labels are of one pair."""
    require_binary("y_true", y_true)
    return is_positive(y_true), ~not_binary(y_true)


@jax.jit
def _shares(positive: Bool[Array, " n"], scores: Float[Array, " n"]) -> Float[Array, " n"]:
    """The share of negatives below each positive, and of positives above each negative, ties counting half.

    The two places of a key add up to twice its mid-rank, less one.
    """
    keys, dtype, size = sort_keys(scores), wide(scores.dtype), scores.shape[0]
    found = jnp.sum(positive, dtype=jnp.int32)
    all_below = sum(search(lax.sort(keys), keys))
    positives_below = sum(search(lax.sort(jnp.where(positive, keys, jnp.iinfo(keys.dtype).min)), keys))
    positives_below = positives_below - 2 * (size - found)
    negatives_below = (all_below - positives_below).astype(dtype) / 2
    positives_above = found.astype(dtype) - positives_below.astype(dtype) / 2
    of_others = jnp.where(positive, size - found, found).astype(dtype)
    return safe_divide(jnp.where(positive, negatives_below, positives_above), of_others, otherwise=jnp.nan)


def _mean(values: Float[Array, "raters n"], chosen: Bool[Array, " n"]) -> Float[Array, " raters"]:
    total = jnp.sum(jnp.where(chosen[None], values, 0), axis=1)
    return total / jnp.sum(chosen, dtype=jnp.int32).astype(values.dtype)


@jax.jit
def _covariance_of_mean(values: Float[Array, "raters n"], chosen: Bool[Array, " n"]) -> Float[Array, "raters raters"]:
    """Covariance of the means over the chosen entries, from their sample covariance; NaN with fewer than two."""
    centred = jnp.where(chosen[None], values - _mean(values, chosen)[:, None], 0)
    count = jnp.sum(chosen, dtype=jnp.int32).astype(values.dtype)
    freedom = jnp.where(count > 1, count * (count - 1), jnp.nan)
    return jnp.sum(centred[:, None] * centred[None], axis=2) / freedom
