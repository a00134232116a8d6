"""Regression losses, one value per example: the mean over its features, which are the last axis."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from fjdl.checks import known, within
from fjdl.fused import fused
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Number, Scalar, typed


@typed
@fused
def mse_loss(predictions: Float[Array, "*batch d"], targets: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """Mean squared error over the last axis, in squared units of the targets, one per example: `1/d Σ (y - ŷ)²`.

    The last axis always holds the features of one example, so a scalar regression has shape (n, 1).
    Differences are taken in float32; beyond 1.8e19 their square is inf. With no features the mean is NaN.
    Equals `torch.nn.functional.mse_loss(reduction="none").mean(-1)`.

    >>> mse_loss(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
    Array([2.], dtype=float32)
    """
    return jnp.mean(jnp.square(widened(predictions) - widened(targets)), axis=-1)


@typed
@fused
def mae_loss(predictions: Float[Array, "*batch d"], targets: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """Mean absolute error over the last axis, in units of the targets, one per example: `1/d Σ |y - ŷ|`.

    The gradient is 0 where prediction and target are equal. Equals
    `torch.nn.functional.l1_loss(reduction="none").mean(-1)`.

    >>> mae_loss(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
    Array([1.], dtype=float32)
    """
    return jnp.mean(_absolute(_error(predictions, targets)), axis=-1)


@typed
@fused
def mape_loss(
    predictions: Float[Array, "*batch d"], targets: Float[Array, "*batch d"], *, eps: Number = 2.0**-52
) -> Float[Array, "*batch"]:
    """Mean absolute percentage error over the last axis, one per example: `1/d Σ |y - ŷ| / max(|y|, eps)`.

    A fraction and no percentage: 0.1 for errors of a tenth of the target. An error at a target of 0 costs some 10¹⁵
    unless `eps`, the size below which all targets count as this large, is raised. The gradient is 0 where prediction
    and target are equal. Equals `sklearn.metrics.mean_absolute_percentage_error` in the mean over examples.

    >>> mape_loss(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
    Array([0.25], dtype=float32)
    """
    within("(0, inf)", eps=eps)
    size = _absolute(widened(targets))
    return jnp.mean(_absolute(_error(predictions, targets)) / jnp.where(size > eps, size, eps), axis=-1)


@typed
@fused
def msle_loss(predictions: Float[Array, "*batch d"], targets: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """Mean squared logarithmic error over the last axis, one per example: `1/d Σ (log(1 + y) - log(1 + ŷ))²`.

    For amounts of which the ratio matters; NaN unless all are above -1. Large numbers that are close keep the digits of
    their difference. Equals `sklearn.metrics.mean_squared_log_error` in the mean over examples.
    """
    predictions, targets = widened(predictions), widened(targets)
    inside = (predictions > -1) & (targets > -1)
    a, b = jnp.where(inside, predictions, 0), jnp.where(inside, targets, 0)
    log_ratio = jnp.log1p(_absolute(a - b) / (1 + jnp.minimum(a, b)))
    return jnp.mean(jnp.where(inside, jnp.square(log_ratio), jnp.nan), axis=-1)


@typed
@fused
def huber_loss(
    predictions: Float[Array, "*batch d"], targets: Float[Array, "*batch d"], *, delta: Number = 1.0
) -> Float[Array, "*batch"]:
    """Huber loss, the mean over features of `e²/2` for errors `|e| ≤ delta` and `delta (|e| - delta/2)` beyond.

    Value and slope are continuous at `delta` > 0, and no slope exceeds it; it is `delta` times `smooth_l1_loss` of
    the same width. An error of 1e30 costs `1e30 · delta`. Huber 1964. Equals
    `torch.nn.functional.huber_loss(reduction="none").mean(-1)`.

    >>> huber_loss(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
    Array([0.75], dtype=float32)
    """
    within("(0, inf]", delta=delta)
    error = _error(predictions, targets)
    values = _huber(error, delta) if isinstance(delta, int | float) else _traced_huber(error, delta)
    return jnp.mean(values, axis=-1)


@typed
@fused
def smooth_l1_loss(
    predictions: Float[Array, "*batch d"], targets: Float[Array, "*batch d"], *, beta: Number = 1.0
) -> Float[Array, "*batch"]:
    """Smooth L1 loss, the mean over features of `e²/(2 beta)` for errors `|e| ≤ beta` and `|e| - beta/2` beyond.

    Value and slope are continuous at `beta`, and no slope exceeds 1; it is `huber_loss` of the same width divided by
    it, and `mae_loss` where `beta` is 0. Girshick 2015, arXiv:1504.08083. Equals
    `torch.nn.functional.smooth_l1_loss(reduction="none").mean(-1)`.

    >>> smooth_l1_loss(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]), beta=4.0)
    Array([0.25], dtype=float32)
    """
    within("[0, inf]", beta=beta)
    if not isinstance(beta, int | float):
        return jnp.mean(_traced_smooth_l1(_error(predictions, targets), beta), axis=-1)
    if beta == 0:
        return mae_loss(predictions, targets)
    return jnp.mean(_smooth_l1(_error(predictions, targets), beta), axis=-1)


@typed
@fused
def log_cosh_loss(predictions: Float[Array, "*batch d"], targets: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """Mean over features of `log cosh(ŷ - y)`: half the square of a small error, `|e| - log 2` for a large one.

    Its slope is `tanh(e)`. Nothing overflows: an error of 1e30 costs 1e30, and small errors keep their digits.

    >>> log_cosh_loss(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
    Array([0.6625...], dtype=float32)
    """
    return jnp.mean(_log_cosh(_error(predictions, targets)), axis=-1)


@typed
def quantile_loss(
    predictions: Float[Array, "*batch d"],
    targets: Float[Array, "*batch d"],
    *,
    quantiles: Number | tuple[Number, ...] | Float[Array, " d"],
) -> Float[Array, "*batch"]:
    """Quantile (pinball) loss, the mean over features of `q (y - ŷ)` above and `(1 - q) (ŷ - y)` below the prediction.

    `quantiles` in (0, 1): one number, or one for each of the `d` features. The loss is least in expectation where `ŷ`
    is that quantile of the targets; at 1/2 it is half of `mae_loss`, with whose gradient 0 at an error of 0.
    Koenker & Bassett 1978. Equals `sklearn.metrics.mean_pinball_loss` in the mean over examples.

    >>> quantile_loss(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]), quantiles=0.75)
    Array([0.75], dtype=float32)
    """
    within("(0, 1)", quantiles=quantiles)
    if isinstance(quantiles, tuple) and len(quantiles) != predictions.shape[-1]:
        got = f"{len(quantiles)} for {predictions.shape}"
        raise ValueError(f"quantiles must be one number or one per feature, got {got}")
    given = known(quantiles)
    return _pinball(predictions, targets, jnp.asarray(quantiles) if given is None else given)


@typed
@fused
def poisson_nll_loss(
    log_rates: Float[Array, "*batch d"], targets: Float[Array, "*batch d"], *, full: bool = False
) -> Float[Array, "*batch"]:
    """Mean over features of the negative log likelihood of counts, in nats: `λ - y log λ` with `λ = exp(log_rates)`.

    The likelihood's `log y!` depends on no parameter: it is left out, or with `full` replaced by Stirling's
    `y log y - y + log(2πy)/2` for counts `y` above 1. A log rate of -inf costs nothing where the count is 0 and inf
    where it is not; beyond a log rate of 88 (709 in float64) the loss is inf. Equals
    `torch.nn.functional.poisson_nll_loss(full=full, reduction="none").mean(-1)`.

    >>> poisson_nll_loss(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 5.0]]))
    Array([1.], dtype=float32)
    """
    log_rates, targets = widened(log_rates), widened(targets)
    dominated = (log_rates > 1000) | ((targets == 0) & jnp.isinf(log_rates))
    values = jnp.exp(log_rates) - targets * jnp.where(dominated, 0, log_rates)
    return jnp.mean(values + _stirling(targets) if full else values, axis=-1)


@fused
def _pinball(
    predictions: Float[Array, "*batch d"], targets: Float[Array, "*batch d"], levels: float | Float[Array, "..."]
) -> Float[Array, "*batch"]:
    error = -_error(predictions, targets)
    q = jnp.asarray(levels, error.dtype)
    slope = jnp.where(error > 0, q, jnp.where(error < 0, q - 1, 0))
    return jnp.mean(slope * error, axis=-1)


def _error(predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return widened(predictions) - widened(targets)


@jax.custom_jvp
def _absolute(error: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.abs(error)


@_absolute.defjvp
def _absolute_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _absolute(*primals), jnp.sign(primals[0]) * tangents[0]


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _huber(error: Float[Array, "*shape"], delta: float) -> Float[Array, "*shape"]:
    inside = jnp.clip(error, -delta, delta)
    return inside * (error - 0.5 * inside)


@_huber.defjvp
def _huber_jvp(delta: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _huber(*primals, delta), _clip(*primals, delta) * tangents[0]


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _smooth_l1(error: Float[Array, "*shape"], beta: float) -> Float[Array, "*shape"]:
    slope = jnp.clip(error / beta, -1, 1)
    return slope * (error - 0.5 * beta * slope)


@_smooth_l1.defjvp
def _smooth_l1_jvp(beta: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _smooth_l1(*primals, beta), _clip(primals[0] / beta, 1.0) * tangents[0]


def _traced_huber(error: Float[Array, "*shape"], delta: Scalar) -> Float[Array, "*shape"]:
    """`_huber` that can be differentiated by its width as well."""
    size = _absolute(error)
    inside = size <= delta
    return jnp.where(inside, 0.5 * jnp.square(jnp.where(inside, error, 0)), delta * (size - 0.5 * delta))


def _traced_smooth_l1(error: Float[Array, "*shape"], beta: Scalar) -> Float[Array, "*shape"]:
    """`_smooth_l1` that can be differentiated by its width as well, which may be 0."""
    size = _absolute(error)
    inside = size < beta
    square = 0.5 * jnp.square(jnp.where(inside, error, 0)) / jnp.where(beta == 0, 1, beta)
    return jnp.where(inside, square, size - 0.5 * beta)


def _clip(x: Float[Array, "*shape"], limit: float) -> Float[Array, "*shape"]:
    """`x` limited to [-limit, limit], with gradient 0 beyond, even where that of the result is inf."""
    return jnp.where(x > limit, limit, jnp.where(x < -limit, -limit, x))


def _stirling(counts: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Stirling's approximation of `log counts!`, 0 up to one."""
    many = counts > 1
    n = jnp.where(many, counts, 2)
    return jnp.where(many, n * jnp.log(n) - n + 0.5 * jnp.log(2 * math.pi * n), 0)


@jax.custom_jvp
def _log_cosh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`|x| + log1p(e^(-2|x|)) - log 2`, below 1 as `-log1p(-tanh² x) / 2`, which cancels nothing."""
    small = jnp.abs(x) < 1
    part = jnp.log1p(jnp.where(small, -jnp.square(jnp.tanh(x)), jnp.exp(-2 * jnp.abs(x))))
    return jnp.where(small, -0.5 * part, jnp.abs(x) + part - math.log(2))


@_log_cosh.defjvp
def _log_cosh_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _log_cosh(*primals), jnp.tanh(primals[0]) * tangents[0]
