"""Errors about a quantile or the median, with the names of scikit-learn; arguments and weights as in `regression`."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.metrics.base import Metric, streaming
from fjdl.metrics.regression.scores import (
    Average,
    SampleWeight,
    WeightedAverage,
    difference,
    explained_fraction,
    mean_cost,
    over_outputs,
    weighed_pair,
)
from fjdl.metrics.regression.streaming import mean_of
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Num, typed


@typed
def median_absolute_error(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: Average = "uniform_average",
) -> Float[Array, "..."]:
    """Median of `|y - ŷ|`, in units of the targets; with weights, half of the weight lies on either side.

    NaN without weight, or with a NaN that counts. Equals `sklearn.metrics.median_absolute_error`, but "raw_values" of
    vectors is a scalar.

    >>> median_absolute_error(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(0., dtype=float32)
    """
    y_true, y_pred, _ = weighed_pair(y_true, y_pred, sample_weight)
    return over_outputs(weighted_quantile(jnp.abs(y_true - y_pred), sample_weight, level=0.5), multioutput)


@typed
def mean_pinball_loss(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    alpha: float = 0.5,
    multioutput: Average = "uniform_average",
) -> Float[Array, "..."]:
    """Mean of `α max(y - ŷ, 0) + (1 - α) max(ŷ - y, 0)`, which the `alpha` quantile makes least; α in [0, 1].

    At ½ it is half the mean absolute error. Koenker and Bassett 1978. Equals `sklearn.metrics.mean_pinball_loss`, but
    "raw_values" of vectors is a scalar.

    >>> mean_pinball_loss(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 6.0]))
    Array(0.5, dtype=float32)
    """
    within("[0, 1]", alpha=alpha)
    cost = _pinball(alpha)
    return mean_cost(cost, y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput)


@typed
def d2_pinball_score(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    alpha: float = 0.5,
    multioutput: WeightedAverage = "uniform_average",
) -> Float[Array, "..."]:
    """Fraction of `mean_pinball_loss` explained beyond the `alpha` quantile of the targets, in (-inf, 1].

    Constant targets give 1 if every prediction is right and else 0; fewer than two rows give NaN. Koenker and Machado
    1999, eq. 7. Equals `sklearn.metrics.d2_pinball_score`, but "raw_values" of vectors is a scalar.
    """
    y_true, y_pred, _ = weighed_pair(y_true, y_pred, sample_weight)
    level = jnp.broadcast_to(weighted_quantile(y_true, sample_weight, level=alpha)[None], y_true.shape)
    missed, apart = (
        mean_pinball_loss(y_true, y, sample_weight=sample_weight, alpha=alpha, multioutput="raw_values")
        for y in (y_pred, level)
    )
    scores = explained_fraction(missed, apart)
    return over_outputs(scores if y_true.shape[0] >= 2 else jnp.full_like(scores, jnp.nan), multioutput)


@typed
def d2_absolute_error_score(
    y_true: Num[Array, "n *d"],
    y_pred: Num[Array, "n *d"],
    *,
    sample_weight: SampleWeight = None,
    multioutput: WeightedAverage = "uniform_average",
) -> Float[Array, "..."]:
    """Fraction of the absolute error explained beyond the median of the targets: `d2_pinball_score` at α = ½.

    Equals `sklearn.metrics.d2_absolute_error_score`, but "raw_values" of vectors is a scalar.
    """
    return d2_pinball_score(y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput)


@streaming("mean_pinball_loss(y_true, y_pred, alpha=...)")
def pinball_loss(alpha: float) -> Metric:
    """Mean pinball loss over all batches, `update(state, predictions, targets, weights=None)`.

    NaN when nothing was seen. Equals `mean_pinball_loss` of all examples at once.
    """
    within("[0, 1]", alpha=alpha)
    cost = _pinball(alpha)
    return mean_of(lambda predictions, targets: cost(targets, predictions))


@typed
@fused
def weighted_quantile(x: Num[Array, "n *d"], weights: SampleWeight = None, *, level: float) -> Float[Array, "*d"]:
    """The value of each column up to which the fraction `level` in [0, 1] of the weight lies.

    Where that is so for all between two values, their mean. Without weights counts are exact. NaN without weight, or
    with a NaN that counts. Equals `numpy.quantile(method="averaged_inverted_cdf")`.
    """
    within("[0, 1]", level=level)
    x, n = widened(x), x.shape[0]
    if n == 0:
        return jnp.full(x.shape[1:], jnp.nan, x.dtype)
    columns = x.reshape(n, -1).T
    each = jnp.ones(n, bool) if weights is None else jnp.asarray(weights)
    amounts = each.astype(jnp.int32 if each.dtype == bool else x.dtype)
    values, amounts = lax.sort((columns, jnp.broadcast_to(amounts, columns.shape)), num_keys=1)
    below = jnp.cumsum(amounts, axis=1).astype(x.dtype)
    total = below[:, -1:]
    rounding = 4 * jnp.finfo(x.dtype).eps * total
    wanted = level * total

    def number(chosen: Array) -> Array:
        return jnp.sum(chosen, axis=1, keepdims=True, dtype=jnp.int32)

    last = number(below < total)
    first = jnp.minimum(number((below < wanted - rounding) | (below == 0)), last)
    reached = jnp.take_along_axis(below, first, axis=1)
    after = jnp.minimum(number(below <= reached), last)
    low, high = (jnp.take_along_axis(values, place, axis=1) for place in (first, after))
    found = jnp.where((reached - wanted > rounding) | (low == high), low, low + (high - low) / 2)
    defined = (total > 0) & ~jnp.any(jnp.isnan(values) & (amounts != 0), axis=1, keepdims=True)
    return jnp.where(defined, found, jnp.nan).reshape(x.shape[1:])


def _pinball(alpha: float) -> Callable[[Array, Array], Array]:
    def cost(y_true: Float[Array, "*shape"], y_pred: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        error = difference(y_true, y_pred)
        return jnp.where(error >= 0, alpha, alpha - 1) * error

    return cost
