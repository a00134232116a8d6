"""Errors of predictions of positive quantities, relative to their size, with the names of scikit-learn.

Arguments and weights are those of `regression`. A pair outside of the domain of a score makes the result NaN, where
scikit-learn refuses it.
"""

import math
from functools import partial

import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.metrics.base import Metric, streaming
from fjdl.metrics.regression.scores import Average, SampleWeight, explained_fraction, mean_cost, weighed_pair
from fjdl.metrics.regression.streaming import mean_of
from fjdl.metrics.state.sums import average
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Num, Scalar, typed


@typed
@fused
def mean_squared_log_error(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: Average = "uniform_average",
) -> Float[Array, "..."]:
    """Mean squared difference of logarithms, `Σ w (log(1 + y) - log(1 + ŷ))² / Σ w`; NaN unless all are above -1.

    Equals `sklearn.metrics.mean_squared_log_error`, but "raw_values" of vectors is a scalar.
    """
    return mean_cost(squared_log_error, y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput)


@typed
@fused
def root_mean_squared_log_error(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: Average = "uniform_average",
) -> Float[Array, "..."]:
    """Root of `mean_squared_log_error` per output, then averaged.

    Equals `sklearn.metrics.root_mean_squared_log_error`, but "raw_values" of vectors is a scalar.
    """

    def root(square: Array) -> Array:
        return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))

    cost = squared_log_error
    return mean_cost(cost, y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput, of_mean=root)


@typed
@fused
def mean_tweedie_deviance(
    y_true: Num[Array, " n"], y_pred: Num[Array, " n"], *, power: float = 0.0, sample_weight: SampleWeight = None
) -> Scalar:
    """Mean `tweedie_deviances`, `Σ w d / Σ w`; NaN without weight. Equals `sklearn.metrics.mean_tweedie_deviance`."""
    return average(*_deviances(y_true, y_pred, power, sample_weight))


@typed
def mean_poisson_deviance(
    y_true: Num[Array, " n"], y_pred: Num[Array, " n"], *, sample_weight: SampleWeight = None
) -> Scalar:
    """Mean `2 (y log(y / ŷ) - y + ŷ)`, for y ≥ 0 and ŷ > 0. Equals `sklearn.metrics.mean_poisson_deviance`."""
    return mean_tweedie_deviance(y_true, y_pred, power=1.0, sample_weight=sample_weight)


@typed
def mean_gamma_deviance(
    y_true: Num[Array, " n"], y_pred: Num[Array, " n"], *, sample_weight: SampleWeight = None
) -> Scalar:
    """Mean `2 (log(ŷ / y) + y / ŷ - 1)`, for y > 0 and ŷ > 0. Equals `sklearn.metrics.mean_gamma_deviance`."""
    return mean_tweedie_deviance(y_true, y_pred, power=2.0, sample_weight=sample_weight)


@typed
@fused
def d2_tweedie_score(
    y_true: Num[Array, " n"], y_pred: Num[Array, " n"], *, power: float = 0.0, sample_weight: SampleWeight = None
) -> Scalar:
    """Fraction of deviance explained, `1 - D(y, ŷ) / D(y, ȳ)`, in (-inf, 1], with `mean_tweedie_deviance`.

    Constant targets give 1 if every prediction is right and else 0; fewer than two examples give NaN. At `power` 0 it
    is `r2_score`. Equals `sklearn.metrics.d2_tweedie_score`.
    """
    missed, weights = _deviances(y_true, y_pred, power, sample_weight)
    y_true = widened(y_true)
    mean = jnp.broadcast_to(average(y_true, weights), y_true.shape)
    score = explained_fraction(average(missed, weights), average(*_deviances(y_true, mean, power, weights)))
    return score if y_true.shape[0] >= 2 else jnp.full_like(score, jnp.nan)


@typed
@fused
def tweedie_deviances(
    y_true: Num[Array, "*batch"], y_pred: Num[Array, "*batch"], *, power: float = 0.0
) -> Float[Array, "*batch"]:
    """Unit deviance of each pair in the Tweedie family of variance `ŷ^power`, at least 0, and 0 where `ŷ = y`.

    `power` 0 is the squared error, 1 the Poisson and 2 the gamma deviance, between 1 and 2 lies the compound Poisson
    family, and 3 is the inverse Gaussian; none exists between 0 and 1. The domain is ŷ > 0, except at 0, with y ≥ 0
    from 1 and y > 0 from 2 on; elsewhere NaN. Jørgensen 1987; Dunn and Smyth 2005.
    """
    if 0 < power < 1 or not math.isfinite(power):
        raise ValueError(f"power must be finite and not lie in (0, 1), got {power}")
    y, mu = widened(y_true), widened(y_pred)
    y, mu = y.astype(jnp.result_type(y, mu)), mu.astype(jnp.result_type(y, mu))
    if power == 0:
        return jnp.square(y - mu)
    inside = (mu > 0) & ((y > 0) if power >= 2 else (y >= 0) if power >= 1 else jnp.isfinite(y))
    mu, y = jnp.where(inside, mu, 1), jnp.where(inside, y, 1)
    return jnp.where(inside, _unit_deviance(y, mu, power), jnp.nan)


@typed
@fused
def squared_log_error(y_true: Float[Array, "*shape"], y_pred: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`(log(1 + y) - log(1 + ŷ))²` of each pair; NaN unless both are above -1."""
    inside = (y_true > -1) & (y_pred > -1)
    y_true, y_pred = (jnp.where(inside, x, 0) for x in (y_true, y_pred))
    return jnp.where(inside, jnp.square(jnp.log1p(y_true) - jnp.log1p(y_pred)), jnp.nan)


@streaming("mean_squared_log_error(y_true, y_pred)")
def msle() -> Metric:
    """Mean squared difference of logarithms over all batches, `update(state, predictions, targets, weights=None)`.

    NaN when nothing was seen. Equals `mean_squared_log_error` of all examples at once.
    """
    return mean_of(lambda predictions, targets: squared_log_error(targets, predictions))


@streaming("mean_tweedie_deviance(y_true, y_pred, power=...)")
def tweedie_deviance(power: float) -> Metric:
    """Mean Tweedie deviance over all batches, `update(state, predictions, targets, weights=None)`.

    NaN when nothing was seen. Equals `mean_tweedie_deviance` of all examples at once.
    """
    deviances = partial(tweedie_deviances, power=power)
    deviances(jnp.ones(1), jnp.ones(1))
    return mean_of(lambda predictions, targets: deviances(targets, predictions))


def _deviances(
    y_true: Array, y_pred: Array, power: float, sample_weight: Array | None
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    y_true, y_pred, weights = weighed_pair(y_true, y_pred, sample_weight)
    return tweedie_deviances(y_true, y_pred, power=power), weights


def _unit_deviance(y: Float[Array, "*batch"], mu: Float[Array, "*batch"], power: float) -> Float[Array, "*batch"]:
    """Twice the integral of `(y - t) / t^power` from ŷ to y, from the excess of y over ŷ, so that digits are kept.

    At `power` 1 and 2 the general form divides by 0; its limits are written out.
    """
    excess = (y - mu) / mu
    ratio = jnp.log1p(jnp.where(y > 0, excess, 0))
    if power == 1:
        return 2 * jnp.where(y > 0, y * ratio - (y - mu), mu)
    if power == 2:
        return 2 * (excess - ratio)
    a, b = 1 - power, 2 - power
    general = mu**b * (jnp.expm1(b * ratio) / b - excess) / a
    return 2 * jnp.where(y > 0, general, mu**b / b - y * mu**a / a)
