"""Scores of real predictions on all examples at once, with the names and the order of arguments of scikit-learn.

Rows are examples and every further axis holds outputs: a result per output is averaged by `multioutput`, which is
"uniform_average", "raw_values" for no average, or an array of weights. `sample_weight` is one non-negative number per
row; rows of weight zero, NaN included, do not count. With no weight at all the results are NaN.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.metrics.state.covariance import centred
from fjdl.numerics import safe_divide, unit
from fjdl.typing import Array, Bool, Float, Num, Scalar, typed

SampleWeight = Num[Array, " n"] | Bool[Array, " n"] | None
Average = Literal["uniform_average", "raw_values"] | Num[Array, "*d"]
WeightedAverage = Literal["uniform_average", "raw_values", "variance_weighted"] | Num[Array, "*d"]


@typed
@fused
def mean_squared_error(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: Average = "uniform_average",
) -> Float[Array, "..."]:
    """Mean squared error, `Σ w (y - ŷ)² / Σ w`, in squared units of the targets; inf where a square overflows.

    Equals `sklearn.metrics.mean_squared_error`, but "raw_values" of vectors is a scalar.

    >>> mean_squared_error(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(3., dtype=float32)
    """
    return _mean_of(jnp.square, y_true, y_pred, sample_weight, multioutput)


@typed
@fused
def root_mean_squared_error(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: Average = "uniform_average",
) -> Float[Array, "..."]:
    """Root of the mean squared error, `√(Σ w (y - ŷ)² / Σ w)` per output, then averaged; in units of the targets.

    Squares neither overflow nor vanish; the gradient of no error at all is 0.
    Equals `sklearn.metrics.root_mean_squared_error`, but "raw_values" of vectors is a scalar.

    >>> root_mean_squared_error(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(1.7320..., dtype=float32)
    """
    error, weights = _errors(y_true, y_pred, sample_weight)
    scale = _largest(error)
    square = _average(jnp.square(safe_divide(error, scale[None])), weights)
    root = jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))
    return over_outputs(scale * root, multioutput)


@typed
@fused
def mean_absolute_error(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: Average = "uniform_average",
) -> Float[Array, "..."]:
    """Mean absolute error, `Σ w |y - ŷ| / Σ w`, in units of the targets; the gradient at no error is 0.

    Equals `sklearn.metrics.mean_absolute_error`, but "raw_values" of vectors is a scalar.

    >>> mean_absolute_error(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(1., dtype=float32)
    """
    return _mean_of(_absolute, y_true, y_pred, sample_weight, multioutput)


@typed
@fused
def mean_absolute_percentage_error(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: Average = "uniform_average",
) -> Float[Array, "..."]:
    """Mean error relative to the target, `Σ w |y - ŷ| / max(|y|, ε) / Σ w`, a fraction and no percentage.

    `ε` is 2⁻⁵² in every dtype, so that an error at a target of 0 costs some 10¹⁵.
    Equals `sklearn.metrics.mean_absolute_percentage_error`, but "raw_values" of vectors is a scalar.

    >>> mean_absolute_percentage_error(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(0.3333..., dtype=float32)
    """
    error, weights = _errors(y_true, y_pred, sample_weight)
    target = jnp.where(_column(weights, error) != 0, jnp.asarray(y_true).astype(error.dtype), 1)
    relative = relative_error(error, target)
    return over_outputs(_average(relative, weights), multioutput)


@typed
@fused
def max_error(y_true: Num[Array, " n"], y_pred: Num[Array, " n"]) -> Scalar:
    """Largest absolute error, `max |y - ŷ|`, in units of the targets; NaN without examples or with a NaN.

    Equals `sklearn.metrics.max_error`.

    >>> max_error(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(3., dtype=float32)
    """
    error, _ = _errors(y_true, y_pred, None)
    return jnp.max(_absolute(error)) if error.size else jnp.full((), jnp.nan, error.dtype)


@typed
@fused
def r2_score(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: WeightedAverage = "uniform_average",
) -> Float[Array, "..."]:
    """Coefficient of determination, `1 - Σ w (y - ŷ)² / Σ w (y - ȳ)²`, in (-inf, 1].

    A constant target gives 1 if every prediction is exactly right and else 0; fewer than two rows give NaN. The mean
    `ȳ` is taken off without loss of digits, and squares neither overflow nor vanish. "variance_weighted" weights
    outputs by their variance, and equally if all are constant.
    Equals `sklearn.metrics.r2_score`, but "raw_values" of vectors is a scalar.

    >>> r2_score(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(-3.5, dtype=float32)
    """
    error, weights = _errors(y_true, y_pred, sample_weight)
    deviations = centred(jnp.asarray(y_true).astype(error.dtype), weights)
    scores = _explained(error, deviations, weights, multioutput)
    return scores if y_true.shape[0] >= 2 else jnp.full_like(scores, jnp.nan)


@typed
@fused
def explained_variance_score(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: WeightedAverage = "uniform_average",
) -> Float[Array, "..."]:
    """Fraction of variance explained, `1 - Var(y - ŷ) / Var(y)`, in (-inf, 1]: `r2_score` that forgives an offset.

    A constant target gives 1 if all errors are equal and else 0.
    Equals `sklearn.metrics.explained_variance_score`, but "raw_values" of vectors is a scalar.

    >>> explained_variance_score(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(-2., dtype=float32)
    """
    error, weights = _errors(y_true, y_pred, sample_weight)
    deviations = centred(jnp.asarray(y_true).astype(error.dtype), weights)
    return _explained(centred(error, weights), deviations, weights, multioutput)


@typed
@fused
def pearson_correlation(y_true: Num[Array, "n *d"], y_pred: Num[Array, "n *d"]) -> Float[Array, "*d"]:
    """Correlation of each output, `Σ (y - ȳ)(ŷ - mean ŷ) / (‖y - ȳ‖ ‖ŷ - mean ŷ‖)`, in [-1, 1].

    NaN where either side is constant, as with fewer than two rows. Equals `scipy.stats.pearsonr(y_true, y_pred)[0]`.

    >>> pearson_correlation(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(0.9449..., dtype=float32)
    """
    a, b = (unit(centred(y), axis=0) for y in _wide(y_true, y_pred))
    varies = jnp.any(a != 0, axis=0) & jnp.any(b != 0, axis=0)
    return jnp.where(varies, jnp.clip(jnp.sum(a * b, axis=0), -1, 1), jnp.nan)


@typed
def difference(y_true: Num[Array, "*shape"], y_pred: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The errors `y - ŷ`, in float64 if either is and else in float32, so that integers neither wrap nor truncate."""
    y_true, y_pred = _wide(y_true, y_pred)
    return y_true - y_pred


@typed
def relative_error(error: Float[Array, "*shape"], y_true: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Absolute error relative to the target, `|error| / max(|y|, 2⁻⁵²)`."""
    error, y_true = _wide(error, y_true)
    return _absolute(error) / jnp.maximum(jnp.abs(y_true), 2.0**-52)


def _errors(y_true: Array, y_pred: Array, sample_weight: Array | None) -> tuple[Array, Array]:
    """Targets less predictions, 0 in rows of weight zero, and the weights."""
    error = difference(y_true, y_pred)
    weights = jnp.ones(error.shape[0]) if sample_weight is None else jnp.asarray(sample_weight)
    weights = weights.astype(error.dtype)
    return jnp.where(_column(weights, error) != 0, error, 0), weights


def _wide(*arrays: Array) -> list[Array]:
    """The arrays in float64 if any of them is, else in float32."""
    placed = [jnp.asarray(x) for x in arrays]
    double = any(x.dtype == jnp.float64 for x in placed)
    return [x.astype(jnp.float64 if double else jnp.float32) for x in placed]


def _mean_of(
    cost: Callable[[Array], Array], y_true: Array, y_pred: Array, sample_weight: Array | None, multioutput: Average
) -> Array:
    error, weights = _errors(y_true, y_pred, sample_weight)
    return over_outputs(_average(cost(error), weights), multioutput)


@typed
def mean_cost(
    cost: Callable[[Array, Array], Array],
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: Average = "uniform_average",
    of_mean: Callable[[Array], Array] | None = None,
) -> Float[Array, "..."]:
    """Mean of `cost(y, ŷ)` over the rows that count, or a function of it, averaged over the outputs."""
    y_true, y_pred, weights = weighed_pair(y_true, y_pred, sample_weight)
    mean = _average(cost(y_true, y_pred), weights)
    return over_outputs(mean if of_mean is None else of_mean(mean), multioutput)


@typed
def weighed_pair(
    y_true: Num[Array, "n *d"], y_pred: Num[Array, "n *d"], sample_weight: SampleWeight = None
) -> tuple[Float[Array, "n *d"], Float[Array, "n *d"], Float[Array, " n"]]:
    """Targets and predictions as floats of one dtype, 1 in rows of weight zero, and the weights."""
    pair = _wide(y_true, y_pred)
    weights = jnp.ones(pair[0].shape[0]) if sample_weight is None else jnp.asarray(sample_weight)
    weights = weights.astype(pair[0].dtype)
    y_true, y_pred = (jnp.where(_column(weights, x) != 0, x, 1) for x in pair)
    return y_true, y_pred, weights


def _average(values: Float[Array, "n *d"], weights: Float[Array, " n"]) -> Float[Array, "*d"]:
    return safe_divide(jnp.sum(_column(weights, values) * values, axis=0), jnp.sum(weights), otherwise=jnp.nan)


@typed
def over_outputs(values: Float[Array, "*d"], multioutput: WeightedAverage) -> Float[Array, "..."]:
    """The values of the outputs themselves, or their mean, plain or weighted."""
    if isinstance(multioutput, str):
        return values if multioutput == "raw_values" else jnp.mean(values)
    weights = jnp.asarray(multioutput).astype(values.dtype)
    return safe_divide(jnp.sum(weights * values), jnp.sum(weights), otherwise=jnp.nan)


def _explained(error: Array, deviations: Array, weights: Array, multioutput: WeightedAverage) -> Array:
    """One minus the ratio of the squares, both scaled by the largest deviation."""
    largest = _largest(deviations)
    scale = jnp.where(largest == 0, 1, largest)
    column = _column(weights, error)
    missed = jnp.sum(column * jnp.square(error / scale[None]), axis=0)
    variance = jnp.sum(column * jnp.square(deviations / scale[None]), axis=0)
    scores = explained_fraction(missed, variance)
    scores = jnp.where(jnp.sum(weights) == 0, jnp.nan, scores)
    if isinstance(multioutput, str) and multioutput == "variance_weighted":
        shares = variance * jnp.square(scale / jnp.max(scale, initial=0.0))
        return over_outputs(scores, jnp.where(jnp.all(variance == 0), 1, shares))
    return over_outputs(scores, multioutput)


@typed
def explained_fraction(missed: Float[Array, "*shape"], variance: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`1 - missed / variance`; with no variance 1 if nothing is missed and else 0."""
    missed, variance = _wide(missed, variance)
    constant = jnp.where(missed == 0, 1.0, jnp.where(jnp.isnan(missed), jnp.nan, 0.0))
    return jnp.where(variance == 0, constant.astype(missed.dtype), 1 - safe_divide(missed, variance))


def _absolute(error: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The absolute value, with gradient 0 at 0."""
    return error * jnp.sign(error)


def _column(weights: Float[Array, " n"], values: Float[Array, "n *d"]) -> Array:
    return weights.reshape(-1, *[1] * (values.ndim - 1))


def _largest(values: Float[Array, "n *d"]) -> Float[Array, "*d"]:
    """The largest magnitude of each output, as a scale that no gradient passes."""
    return jax.lax.stop_gradient(jnp.max(jnp.abs(values), axis=0, initial=0.0))
