"""Guess and test."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.checks import at_least
from fjdl.search.result import Found, Objective, Tried
from fjdl.search.space import Space
from fjdl.typing import Array, PRNGKey, typed


@overload
def random_search(key: PRNGKey, objective: Objective, *, sample: Callable[[PRNGKey], Array], trials: int) -> Found: ...
@overload
def random_search(key: PRNGKey, objective: Callable[..., Any], *, space: Mapping[str, Space], trials: int) -> Tried: ...
@typed
def random_search(
    key: PRNGKey,
    objective: Callable[..., Any],
    *,
    sample: Callable[[PRNGKey], Array] | None = None,
    space: Mapping[str, Space] | None = None,
    trials: int,
) -> Found | Tried:
    """The best of `trials` independent draws, by the least value of the objective.

    Better than a grid where few of the dimensions matter (Bergstra & Bengio 2012, JMLR 13). NaN counts as infinite.

    With `sample`, a point is the vector `sample(key)`, and `objective(vector)` is traced: the search is one program
    that works inside `jax.jit`, and returns `Found`.

    With `space`, a point is a dict of Python numbers, drawn by the functions `uniform`, `log_uniform`, `integer` and
    `choice` of this package, and `objective(**point)` runs on the host, once for each trial and in turn. It may be
    anything that returns a number, such as a whole training run; what it raises ends the search. Returns `Tried`:

        search.random_search(
            jax.random.key(0),
            lambda learning_rate, layers: validation_loss(train(learning_rate, layers)),
            space={"learning_rate": search.log_uniform(1e-4, 1e-1), "layers": search.integer(1, 4)},
            trials=20,
        )

    Raises `ValueError` unless one of `sample` and `space` is given, and where `trials` is not positive.
    """
    at_least(1, trials=trials)
    if (sample is None) == (space is None):
        raise ValueError(f"one of sample and space must be given, got {'both' if sample else 'neither'}")
    if space is not None:
        return _on_host(objective, _points(key, space, trials))
    points = jax.vmap(sample)(jax.random.split(key, trials))  # type: ignore[arg-type]  # it is given
    values = jax.lax.map(objective, points)
    values = jnp.where(jnp.isnan(values), jnp.inf, values)
    best = jnp.argmin(values)
    return Found(points[best], values[best], jax.lax.cummin(values))


def _points(key: PRNGKey, space: Mapping[str, Space], trials: int) -> list[dict[str, Any]]:
    """Points of the space; 32 random bits decide each option, whatever the order of the names."""
    names = sorted(space)
    bits = np.asarray(jax.random.bits(key, (trials, len(names)), jnp.uint32), np.float64)
    return [{name: space[name](share) for name, share in zip(names, row / 2**32, strict=True)} for row in bits]


def _on_host(objective: Callable[..., Any], points: list[dict[str, Any]]) -> Tried:
    values: list[float] = []
    for point in points:
        value = float(objective(**point))
        values.append(math.inf if math.isnan(value) else value)
    best = values.index(min(values))
    history = tuple(itertools.accumulate(values, min))
    return Tried(points[best], values[best], history, tuple(points), tuple(values))
