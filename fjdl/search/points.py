"""The points that a search tries: all of a grid, draws from a space, draws around the best so far."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.checks import at_least, within
from fjdl.search.space import Space
from fjdl.typing import PRNGKey, typed

Point = dict[str, Any]  # a value for each option
Shares = dict[str, float]  # for each option where in [0, 1) its value comes from


def grid(options: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Each combination of the values, the last option changing fastest; `sklearn.model_selection.ParameterGrid`'s.

    One empty point for no options. Raises `ValueError` for an option without values.

    >>> grid({"rate": (0.1, 0.2), "layers": (1, 2)})[:2]
    [{'rate': 0.1, 'layers': 1}, {'rate': 0.1, 'layers': 2}]
    """
    for name, values in options.items():
        if not values:
            raise ValueError(f"options must have a value for each name, got none for {name!r}")
    return [dict(zip(options, row, strict=True)) for row in itertools.product(*options.values())]


@typed
def draw_shares(key: PRNGKey, space: Mapping[str, Space], *, trials: int) -> list[Shares]:
    """For each trial a number of [0, 1) for each option, of 32 random bits, whatever the order of the names.

    Raises `ValueError` where `trials` is not positive.
    """
    at_least(1, trials=trials)
    names = sorted(space)
    bits = np.asarray(jax.random.bits(key, (trials, len(names)), jnp.uint32), np.float64)
    return [dict(zip(names, row, strict=True)) for row in (bits / 2**32).tolist()]


def narrowed(shares: Shares, *, best: Shares, width: float) -> Shares:
    """The shares in a window of this width around those of the best point, which stays inside of [0, 1).

    Raises `ValueError` for a width outside of (0, 1].

    >>> narrowed({"rate": 0.5}, best={"rate": 0.25}, width=0.125)
    {'rate': 0.25}
    """
    within("(0, 1]", width=width)
    starts = {name: min(max(best[name] - width / 2, 0.0), 1.0 - width) for name in shares}
    return {name: starts[name] + width * share for name, share in shares.items()}


def point_at(space: Mapping[str, Space], shares: Shares) -> Point:
    """The values at these shares.

    >>> from fjdl.search import choice, uniform
    >>> point_at({"drop": uniform(0.0, 1.0), "kind": choice("ab")}, {"drop": 0.25, "kind": 0.75})
    {'drop': 0.25, 'kind': 'b'}
    """
    return {name: space[name](share) for name, share in shares.items()}
