"""A metric is four pure functions over a state that is small, mergeable and of fixed shapes and dtypes."""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fjdl.batch import EXAMPLE_MASK
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, Num, typed

F = TypeVar("F", bound=Callable[..., Any])
Weights = Bool[Array, "..."] | Num[Array, "..."] | None


class Metric(NamedTuple):
    """What is measured, as functions that all work under `jit`, `vmap` and `scan`.

    `init()` is the state before any example. `update(state, *arrays, weights=None)` adds a batch. Booleans as weights
    select the examples that count, and keep counts exact; an example of a real weight w counts as w examples do, and
    one of weight 0 not at all, NaN included. A metric of which more or fewer equal examples change nothing refuses
    weights other than 0 and 1, and is NaN where such weights are traced. `merge(a, b)` is the state of both sets of
    examples together, and `compute(state)` the result: that of all examples at once, however they were split.
    """

    init: Callable[[], Any]
    update: Callable[..., Any]
    merge: Callable[[Any, Any], Any]
    compute: Callable[[Any], Any]


@typed
def streaming(at_once: str) -> Callable[[F], F]:
    """Makes a `typed` function that gives a metric; called with arrays it refuses them and says what is meant for them.

    `at_once` is the call for all examples at once, as a user writes it.
    """

    def decorate(function: F) -> F:
        make = typed(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Metric:
            options = (x for x in kwargs.values() if not _is_list_of_numbers(x))
            if any(_holds_examples(x) for x in (*args, *options)):
                name = function.__qualname__
                raise ValueError(f"{name} makes a metric over batches and takes no arrays; at once it is {at_once}")
            return _named(make(*args, **kwargs), function.__qualname__)

        return call  # type: ignore[return-value]

    return decorate


def _named(metric: Metric, name: str) -> Metric:
    """The metric, whose functions have its public name in their sentences, whatever has made them."""
    for field, function in zip(Metric._fields, metric, strict=True):
        code = getattr(inspect.unwrap(function), "__code__", None)
        if isinstance(function, FunctionType) and code is not None and "<locals>" in code.co_qualname:
            function.__qualname__ = f"{name}.{field}"
    return metric


def _holds_examples(x: Any) -> bool:
    return isinstance(x, list) or (isinstance(x, jax.Array | np.ndarray) and x.ndim > 0)


def _is_list_of_numbers(x: Any) -> bool:
    """Whether it is what an option may be, such as `ks=[1, 10]`."""
    return isinstance(x, list) and all(isinstance(entry, int | float) for entry in x)


@typed
def on(
    metric: Metric,
    select: Callable[[Any, Any], tuple[Any, ...]],
    *,
    weights: Callable[[Any], Any] | None = None,
) -> Metric:
    """The metric with `update(state, outputs, batch)`, which updates with `select(outputs, batch)`.

    `batch` is a mapping; its entry "example_mask", where there is one, holds the weights. `weights(batch)` are those of
    parts of examples besides, such as `[n, t]` of tokens: a part counts where both do, by the product of both.
    """

    def update(state: Any, outputs: Any, batch: Mapping[str, Any]) -> Any:
        each = batch.get(EXAMPLE_MASK)
        if weights is not None:
            each = _of_parts(weights(batch), each)
        return metric.update(state, *select(outputs, batch), weights=each)

    return metric._replace(update=update)


def _of_parts(parts: Array, examples: Array | None) -> Array:
    """The weights of parts, times those of their examples; booleans where both are."""
    if examples is None:
        return parts
    column = examples.reshape(-1, *[1] * (parts.ndim - 1))
    return parts & column if parts.dtype == examples.dtype == bool else parts * column


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
def weight_of_each(weights: Weights, shape: tuple[int, ...]) -> Bool[Array, "..."] | Float[Array, "..."]:
    """The weight of each entry of an array of `shape`: booleans where the weights are, or are None, else floats.

    The shape of the weights is one that `shape` starts with: weights per image hold for all its pixels, weights per
    token for one token each. Anything else raises `ValueError`.
    """
    if weights is None:
        return jnp.ones(shape, bool)
    if weights.shape != shape[: weights.ndim]:
        raise ValueError(f"the shape of weights must be a beginning of {shape}, got {weights.shape}")
    each = jnp.asarray(weights) if weights.dtype == bool else widened(weights)
    return jnp.broadcast_to(each.reshape(weights.shape + (1,) * (len(shape) - weights.ndim)), shape)


@typed
def counted(weights: Weights, shape: tuple[int, ...]) -> Bool[Array, "..."]:
    """Which entries of an array of `shape` count: those of examples whose weight is non-zero; without weights, all."""
    return weight_of_each(weights, shape).astype(bool)


@typed
def selection(weights: Weights, shape: tuple[int, ...]) -> tuple[Bool[Array, "..."], Bool[Array, ""]]:
    """Which entries count for a metric that can only select, and whether all weights are 0 or 1.

    Concrete weights that are neither raise `ValueError`.
    """
    each = weight_of_each(weights, shape)
    if each.dtype == bool:
        return each, jnp.ones((), bool)
    proper = (each == 0) | (each == 1)
    if not isinstance(weights, Tracer) and not np.all(proper):
        wrong = np.asarray(each)[~np.asarray(proper)][0]
        raise ValueError(f"weights must be booleans, or 0 and 1, since they can only select here, got {wrong}")
    return each.astype(bool), jnp.all(proper)
