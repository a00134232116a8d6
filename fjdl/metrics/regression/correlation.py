"""How much of the targets predictions explain, over batches; every entry of the arrays is an example.

`update(state, predictions, targets, weights=None)` takes the predictions first, as every metric does. The states are
those of `mean_and_covariance`, so digits are kept and batches merge as documented there.
"""

from collections.abc import Callable

import jax.numpy as jnp

from fjdl.metrics.base import Metric, Weights, streaming
from fjdl.metrics.regression.scores import explained_fraction
from fjdl.metrics.state import amounts, counts, sums
from fjdl.metrics.state.covariance import MeanAndCovariance, mean_and_covariance
from fjdl.typing import Array, Float, Num, Scalar, typed


@streaming("r2_score(y_true, y_pred)")
def r2() -> Metric:
    """Coefficient of determination over all batches, `1 - Σ (y - ŷ)² / Σ (y - ȳ)²`, in (-inf, 1].

    A constant target gives 1 if every prediction is exactly right and else 0; fewer than two examples give NaN.
    Equals `r2_score` of all examples at once.
    """
    return _of_moments(_targets_and_errors, _r2)


@streaming("explained_variance_score(y_true, y_pred)")
def explained_variance() -> Metric:
    """Fraction of variance explained over all batches, `1 - Var(y - ŷ) / Var(y)`; NaN when nothing was seen.

    A constant target gives 1 if all errors are equal and else 0.
    Equals `explained_variance_score` of all examples at once.
    """
    return _of_moments(_targets_and_errors, _explained_variance)


@streaming("pearson_correlation(y_true, y_pred)")
def pearson() -> Metric:
    """Correlation of predictions and targets over all batches, `Cov(y, ŷ) / √(Var(y) Var(ŷ))`, in [-1, 1].

    NaN where either is constant. Equals `pearson_correlation` of all examples at once.
    """
    return _of_moments(lambda predictions, targets: (targets, predictions), _correlation)


def _of_moments(
    variables: Callable[[Array, Array], tuple[Array, Array]], score: Callable[[MeanAndCovariance], Scalar]
) -> Metric:
    """The score of the joint moments of two variables made of predictions and targets."""
    joint = mean_and_covariance(2)

    @typed
    def update(
        state: MeanAndCovariance,
        predictions: Num[Array, "*batch"],
        targets: Num[Array, "*batch"],
        weights: Weights = None,
    ) -> MeanAndCovariance:
        dtype = state.mean.total.dtype
        pair = variables(jnp.asarray(predictions).astype(dtype), jnp.asarray(targets).astype(dtype))
        return joint.update(state, jnp.stack(pair, axis=-1), weights=weights)

    return joint._replace(update=update, compute=typed(score))


def _targets_and_errors(predictions: Array, targets: Array) -> tuple[Array, Array]:
    return targets, targets - predictions


def _r2(state: MeanAndCovariance) -> Scalar:
    seen, scatter = counts.to_float(state.seen), sums.to_float(state.scatter)
    missed = scatter[1, 1] + amounts.to_float(state.weight) * jnp.square(sums.to_float(state.mean)[1])
    return jnp.where(seen < 2, jnp.nan, explained_fraction(missed, scatter[0, 0]))


def _explained_variance(state: MeanAndCovariance) -> Scalar:
    scatter = sums.to_float(state.scatter)
    nothing = counts.to_float(state.seen) == 0
    return jnp.where(nothing, jnp.nan, explained_fraction(scatter[1, 1], scatter[0, 0]))


def _correlation(state: MeanAndCovariance) -> Scalar:
    scatter = sums.to_float(state.scatter)
    spread = jnp.sqrt(jnp.diagonal(scatter))
    varies = jnp.all(spread != 0)
    ratio: Float[Array, ""] = scatter[0, 1] / jnp.where(varies, spread[0], 1) / jnp.where(varies, spread[1], 1)
    return jnp.where(varies, jnp.clip(ratio, -1, 1), jnp.nan)
