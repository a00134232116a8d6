"""A metric is four pure functions over a state that is small, mergeable and of fixed shapes and dtypes."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from fjdl.typing import Array, Bool, Num, typed

Weights = Bool[Array, "..."] | Num[Array, "..."] | None


class Metric(NamedTuple):
    """What is measured, as functions that all work under `jit`, `vmap` and `scan`.

    `init()` is the state before any example. `update(state, *arrays, weights=None)` adds a batch, where an example
    counts exactly when its weight is non-zero. `merge(a, b)` is the state of both sets of examples together, and
    `compute(state)` the result: that of all examples at once, however they were split.
    """

    init: Callable[[], Any]
    update: Callable[..., Any]
    merge: Callable[[Any, Any], Any]
    compute: Callable[[Any], Any]


@typed
def on(metric: Metric, select: Callable[[Any, Any], tuple[Any, ...]]) -> Metric:
    """The metric with `update(state, outputs, batch)`, which updates with `select(outputs, batch)`.

    `batch` is a mapping; its entry "mask", where there is one, holds the weights.
    """

    def update(state: Any, outputs: Any, batch: Mapping[str, Any]) -> Any:
        return metric.update(state, *select(outputs, batch), weights=batch.get("mask"))

    return metric._replace(update=update)


@typed
def then(metric: Metric, function: Callable[[Any], Any]) -> Metric:
    """The metric with the result `function(result)`, from the same state.

    `then(confusion_matrix(10), partial(macro, f1))` streams what the function computes from a confusion matrix.
    """
    return metric._replace(compute=lambda state: function(metric.compute(state)))


@typed
def measure(metric: Metric, *arrays: Any, weights: Weights = None) -> Any:
    """The metric's result on one batch: `init`, `update`, `compute`."""
    return metric.compute(metric.update(metric.init(), *arrays, weights=weights))


@typed
def counted(weights: Weights, shape: tuple[int, ...]) -> Bool[Array, "..."]:
    """Which entries of an array of `shape` count: those of examples whose weight is non-zero; without weights, all.

    The shape of the weights is one that `shape` starts with: weights per image hold for all its pixels, weights per
    token for one token each. Anything else raises `ValueError`.
    """
    if weights is None:
        return jnp.ones(shape, bool)
    if weights.shape != shape[: weights.ndim]:
        raise ValueError(f"the shape of weights must be a beginning of {shape}, got {weights.shape}")
    leading = weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
    return jnp.broadcast_to(leading.astype(bool), shape)
