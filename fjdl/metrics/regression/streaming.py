"""Errors of real predictions over batches, in float32; every entry of the arrays is an example.

`update(state, predictions, targets, weights=None)` takes the predictions first, as every metric does.
"""

from collections.abc import Callable

import jax.numpy as jnp

from fjdl.metrics.base import Metric, Weights, selection, streaming, then
from fjdl.metrics.regression.scores import relative_error
from fjdl.metrics.state.mean import MeanState, mean
from fjdl.typing import Array, Num, Scalar, typed


@streaming("mean_squared_error(y_true, y_pred)")
def mse() -> Metric:
    """Mean squared error over all batches, `1/n Σ (y - ŷ)²`, summed in two floats; NaN when nothing was seen.

    Equals `mean_squared_error` of all examples at once.
    """
    return mean_of(lambda predictions, targets: jnp.square(predictions - targets))


@streaming("root_mean_squared_error(y_true, y_pred)")
def rmse() -> Metric:
    """Root of the mean squared error over all batches, `√(1/n Σ (y - ŷ)²)`; NaN when nothing was seen.

    The root is taken once, of everything. Equals `root_mean_squared_error` of all examples at once.
    """
    return then(mse(), jnp.sqrt)


@streaming("mean_absolute_error(y_true, y_pred)")
def mae() -> Metric:
    """Mean absolute error over all batches, `1/n Σ |y - ŷ|`; NaN when nothing was seen.

    Equals `mean_absolute_error` of all examples at once.
    """
    return mean_of(lambda predictions, targets: jnp.abs(predictions - targets))


@streaming("mean_absolute_percentage_error(y_true, y_pred)")
def mape() -> Metric:
    """Mean error relative to the target over all batches, `1/n Σ |y - ŷ| / max(|y|, 2⁻⁵²)`, a fraction.

    NaN when nothing was seen. Equals `mean_absolute_percentage_error` of all examples at once.
    """
    return mean_of(lambda predictions, targets: relative_error(targets - predictions, targets))


@streaming("max_error(y_true, y_pred)")
def largest_error() -> Metric:
    """Largest absolute error over all batches, `max |y - ŷ|`; NaN when nothing or a NaN was seen.

    Weights can only select: they are booleans, or 0 and 1.

    Equals `max_error` of all examples at once.
    """

    def init() -> Scalar:
        return jnp.full((), -jnp.inf)

    @typed
    def update(
        state: Scalar, predictions: Num[Array, "*batch"], targets: Num[Array, "*batch"], weights: Weights = None
    ) -> Scalar:
        predictions, targets = _as_state(predictions), _as_state(targets)
        chosen, proper = selection(weights, targets.shape)
        errors = jnp.where(chosen, jnp.abs(predictions - targets), -jnp.inf)
        errors = jnp.where(proper, errors, jnp.nan)
        return jnp.maximum(state, jnp.max(errors, initial=-jnp.inf))

    def compute(state: Scalar) -> Scalar:
        return jnp.where(state < 0, jnp.nan, state)

    return Metric(init, update, jnp.maximum, compute)


@typed
def mean_of(cost: Callable[[Array, Array], Array]) -> Metric:
    """The running mean of a cost of predictions and targets, `update(state, predictions, targets, weights=None)`."""
    running = mean()

    @typed
    def update(
        state: MeanState, predictions: Num[Array, "*batch"], targets: Num[Array, "*batch"], weights: Weights = None
    ) -> MeanState:
        return running.update(state, cost(_as_state(predictions), _as_state(targets)), weights=weights)

    return running._replace(update=update)


def _as_state(x: Num[Array, "*batch"]) -> Array:
    """The dtype of a state: float32, and float64 under x64."""
    return jnp.asarray(x).astype(jnp.result_type(float))
