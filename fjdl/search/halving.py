"""Successive halving: many trials get a little, the best of them more."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fjdl.checks import at_least


class Rung(NamedTuple):
    """One round of successive halving."""

    trials: int  # that are in it
    budget: int  # of each when it ends, such as epochs, what it had before included


class Halved(NamedTuple):
    """What successive halving found, and all that it tried; everything is a Python object."""

    point: dict[str, Any]  # the best one of the last rung
    value: float
    points: tuple[dict[str, Any], ...]  # in their order
    values: tuple[float, ...]  # of each, at its budget
    budgets: tuple[int, ...]  # that each had in the end


def halving_rungs(trials: int, *, budget: int, factor: int = 3, least: int = 1) -> tuple[Rung, ...]:
    """The rungs for so many trials, of which the last ones get the whole `budget`.

    Each rung has a `factor`-th of the trials of the one before, rounded down, and `factor` times its budget. There are
    as many as leave a trial in the last one and give each in the first one `least`. The table 1 of Li et al. 2018, JMLR
    18 (Hyperband), has these for a budget of 81. Raises `ValueError` where `trials`, `budget` or `least` is below 1,
    `factor` is below 2, or `least` exceeds `budget`.

    >>> halving_rungs(27, budget=81)
    (Rung(trials=27, budget=3), Rung(trials=9, budget=9), Rung(trials=3, budget=27), Rung(trials=1, budget=81))
    """
    at_least(1, trials=trials, budget=budget, least=least)
    at_least(2, factor=factor)
    if least > budget:
        raise ValueError(f"least must not exceed the budget, got {least} and {budget}")
    last = 0
    while trials >= factor ** (last + 1) and budget >= least * factor ** (last + 1):
        last += 1
    return tuple(Rung(trials // factor**number, budget // factor ** (last - number)) for number in range(last + 1))


def survivors(values: Sequence[float], *, count: int) -> list[int]:
    """The places of the `count` least values in increasing order; NaN is above all, equal values keep the first.

    Raises `ValueError` for a count outside of [1, len(values)].

    >>> survivors([3.0, 1.0, float("nan"), 1.0], count=2)
    [1, 3]
    """
    at_least(1, count=count)
    if count > len(values):
        raise ValueError(f"count must be at most the number of values, got {count} of {len(values)}")
    order = np.argsort(np.asarray(values, np.float64), kind="stable")  # NaN comes last
    return sorted(order[:count].tolist())


def successive_halving(
    objective: Callable[..., Any],
    points: Sequence[Mapping[str, Any]],
    *,
    budget: int,
    factor: int = 3,
    least: int = 1,
) -> Halved:
    """The best of `points` by a value that is to be small, of which bad ones are given up early.

    `objective(**point, budget=b)` runs on the host; it may go on where the last call with this point ended. All points
    are tried at the first budget of `halving_rungs`, the best `1 / factor` of them at the next, and so on up to the
    whole `budget` (Jamieson & Talwalkar 2016, arXiv:1502.07943; synchronous). NaN counts as infinite. Raises
    `ValueError` as `halving_rungs`, and what the objective raises.

    >>> nine = [{"rate": rate} for rate in range(9)]
    >>> found = successive_halving(lambda rate, budget: abs(rate - 3) / budget, nine, budget=9)
    >>> found.point, found.budgets
    ({'rate': 3}, (1, 1, 3, 9, 3, 1, 1, 1, 1))
    """
    rungs = halving_rungs(len(points), budget=budget, factor=factor, least=least)
    values, budgets = [math.inf] * len(points), [0] * len(points)
    alive = list(range(len(points)))
    for rung in rungs:
        alive = [alive[place] for place in survivors([values[number] for number in alive], count=rung.trials)]
        for number in alive:
            value = float(objective(**points[number], budget=rung.budget))
            values[number], budgets[number] = math.inf if math.isnan(value) else value, rung.budget
    best = min(alive, key=lambda number: values[number])
    return Halved(dict(points[best]), values[best], tuple(map(dict, points)), tuple(values), tuple(budgets))
