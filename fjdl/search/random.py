"""Guess and test."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, overload

import jax
import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.search.points import Point, Shares, draw_shares, narrowed, point_at
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
        return _on_host(objective, [point_at(space, each) for each in draw_shares(key, space, trials=trials)])
    points = jax.vmap(sample)(jax.random.split(key, trials))  # type: ignore[arg-type]  # it is given
    values = jax.lax.map(objective, points)
    values = jnp.where(jnp.isnan(values), jnp.inf, values)
    best = jnp.argmin(values)
    return Found(points[best], values[best], jax.lax.cummin(values))


@typed
def coarse_to_fine(
    key: PRNGKey,
    objective: Callable[..., Any],
    *,
    space: Mapping[str, Space],
    trials: int,
    rounds: int,
    shrink: float = 0.5,
) -> Tried:
    """A random search in rounds of `trials` draws, each around the best point of all rounds before it.

    The first round draws from the whole space; in round r, from 0, an option comes from a window of `shrinkʳ` of its
    range around the best value, in the scale of its space: decades for `log_uniform`. A choice's values stand in a
    row, in which the window moves. The objective is as in `random_search` with a space. Raises `ValueError` where
    `trials` or `rounds` is not positive or `shrink` is outside (0, 1].

    >>> from fjdl.search import log_uniform
    >>> space = {"rate": log_uniform(1e-6, 1.0)}
    >>> found = coarse_to_fine(
    ...     jax.random.key(0), lambda rate: abs(math.log10(rate) + 3), space=space, trials=8, rounds=4
    ... )
    >>> len(found.points), 1e-4 < found.point["rate"] < 1e-2
    (32, True)
    """
    at_least(1, trials=trials, rounds=rounds)
    within("(0, 1]", shrink=shrink)
    shares: list[Shares] = []
    values: list[float] = []
    for number in range(rounds):
        fresh = draw_shares(jax.random.fold_in(key, number), space, trials=trials)
        if number:
            best = shares[values.index(min(values))]
            fresh = [narrowed(each, best=best, width=shrink**number) for each in fresh]
        shares += fresh
        values += [_value(objective, point_at(space, each)) for each in fresh]
    return _tried([point_at(space, each) for each in shares], values)


def _on_host(objective: Callable[..., Any], points: list[Point]) -> Tried:
    return _tried(points, [_value(objective, point) for point in points])


def _value(objective: Callable[..., Any], point: Point) -> float:
    value = float(objective(**point))
    return math.inf if math.isnan(value) else value


def _tried(points: list[Point], values: list[float]) -> Tried:
    best = values.index(min(values))
    history = tuple(itertools.accumulate(values, min))
    return Tried(points[best], values[best], history, tuple(points), tuple(values))
