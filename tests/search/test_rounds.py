"""Searches in rounds: successive halving, coarse to fine; grids, and samplers of others."""

import math
from typing import Any

import jax
import numpy as np
import pytest
from sklearn.model_selection import ParameterGrid

from fjdl import search

# Li et al. 2018, JMLR 18, table 1: trials and epochs of each rung for R = 81 and η = 3
HYPERBAND = {
    (81, 1): [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    (27, 3): [(27, 3), (9, 9), (3, 27), (1, 81)],
    (9, 9): [(9, 9), (3, 27), (1, 81)],
    (6, 27): [(6, 27), (2, 81)],
    (5, 81): [(5, 81)],
}


@pytest.mark.parametrize("start", HYPERBAND)
def test_rungs_are_those_of_the_paper(start: tuple[int, int]) -> None:
    trials, least = start
    rungs = search.halving_rungs(trials, budget=81, least=least)
    assert [(rung.trials, rung.budget) for rung in rungs] == HYPERBAND[start]


def test_rungs_of_other_numbers() -> None:
    assert search.halving_rungs(1, budget=7) == (search.Rung(1, 7),)
    assert search.halving_rungs(32, budget=10, factor=2) == ((32, 1), (16, 2), (8, 5), (4, 10))
    assert search.halving_rungs(2, budget=100) == ((2, 100),)


def halved_by_hand(table: np.ndarray, *, factor: int) -> tuple[int, list[int]]:
    """The best row of a table of values by budget, from 1, and each row's budget, by loops over a sorted list."""
    trials, most = table.shape
    budgets, alive = [0] * trials, list(range(trials))
    depth = min(int(math.log(trials, factor) + 1e-9), int(math.log(most, factor) + 1e-9))
    for rung in range(depth + 1):
        budget = most // factor ** (depth - rung)
        if rung:
            before = most // factor ** (depth - rung + 1)
            alive = sorted(alive, key=lambda row: (table[row, before - 1], row))[: trials // factor**rung]
        for row in alive:
            budgets[row] = budget
    return min(alive, key=lambda row: (table[row, most - 1], row)), budgets


@pytest.mark.parametrize(("trials", "most", "factor"), [(27, 9, 3), (10, 27, 3), (16, 16, 2), (5, 6, 4), (1, 3, 2)])
def test_halving_keeps_what_a_sorted_list_keeps(trials: int, most: int, factor: int) -> None:
    table = np.random.default_rng(trials).integers(0, 20, (trials, most)).astype(float)  # with ties
    calls: list[tuple[int, int]] = []

    def objective(row: int, budget: int) -> float:
        calls.append((row, budget))
        return table[row, budget - 1]

    found = search.successive_halving(objective, [{"row": row} for row in range(trials)], budget=most, factor=factor)
    best, budgets = halved_by_hand(table, factor=factor)
    assert (found.point["row"], list(found.budgets)) == (best, budgets)
    assert found.values == tuple(table[row, budget - 1] for row, budget in enumerate(budgets))
    assert len(calls) == sum(rung.trials for rung in search.halving_rungs(trials, budget=most, factor=factor))


def test_halving_gives_up_what_is_not_a_number_first() -> None:
    found = search.successive_halving(lambda x, budget: x, [{"x": math.nan}, {"x": 5.0}, {"x": 4.0}], budget=3)
    assert (found.point, found.value, found.values, found.budgets) == ({"x": 4.0}, 4.0, (math.inf, 5.0, 4.0), (1, 1, 3))
    assert search.survivors([math.inf, math.nan, -math.inf], count=2) == [0, 2]


def test_wrong_halving_is_refused() -> None:
    for options, sentence in (
        ({"trials": 0, "budget": 1}, "trials must be at least 1, got 0"),
        ({"trials": 2, "budget": 3, "factor": 1}, "factor must be at least 2, got 1"),
        ({"trials": 2, "budget": 3, "least": 4}, "least must not exceed the budget, got 4 and 3"),
    ):
        with pytest.raises(ValueError, match=sentence):
            search.halving_rungs(**options)
    with pytest.raises(ValueError, match="count must be at most the number of values, got 3 of 2"):
        search.survivors([1.0, 2.0], count=3)


def test_a_grid_has_the_points_of_scikit_learn() -> None:
    options: dict[str, Any] = {"rate": (0.1, 0.2, 0.3), "kind": ("a", "b"), "width": (4,)}
    ours, theirs = search.grid(options), list(ParameterGrid(options))
    assert len(ours) == len(theirs) == 6
    assert all(point in theirs for point in ours)
    assert search.grid({}) == [{}]
    with pytest.raises(ValueError, match="options must have a value for each name, got none for 'rate'"):
        search.grid({"rate": ()})


def test_rounds_close_in_on_the_minimum_and_beat_as_many_draws_of_the_whole_space() -> None:
    space = {"rate": search.log_uniform(1e-6, 1.0), "width": search.integer(1, 512)}

    def loss(rate: float, width: int) -> float:
        return (math.log10(rate) + 2.5) ** 2 + (math.log2(width) - 6) ** 2 / 4

    for seed in range(3):
        key = jax.random.key(seed)
        fine = search.coarse_to_fine(key, loss, space=space, trials=10, rounds=5)
        assert len(fine.points) == 50
        assert fine.value == min(fine.values) == loss(**fine.point)
        assert fine.value < search.random_search(key, loss, space=space, trials=50).value
        widths = [point["width"] for point in fine.points[-10:]]
        assert max(widths) - min(widths) <= 512 / 16 + 1


def test_windows_stay_inside_of_the_range() -> None:
    for best, share, there in ((0.0, 0.0, 0.0), (0.0, 0.5, 0.125), (1.0, 0.5, 0.875), (0.5, 0.5, 0.5)):
        assert search.narrowed({"x": share}, best={"x": best}, width=0.25) == {"x": there}
    with pytest.raises(ValueError, match=r"width must lie in \(0, 1\], got 0"):
        search.narrowed({"x": 0.5}, best={"x": 0.5}, width=0.0)
    key, space = jax.random.key(0), {"x": search.uniform(0.0, 1.0), "y": search.choice("abc")}
    again = search.draw_shares(key, dict(reversed(space.items())), trials=3)
    assert search.draw_shares(key, space, trials=3) == again
    assert search.point_at(space, {"x": 0.25, "y": 0.5}) == {"x": 0.25, "y": "b"}


class Trial:
    """A trial with the interface of Optuna's, which suggests upper bounds and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked[name] = ("log" if log else "float", low, high)
        return high

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.asked[name] = ("int", low, high)
        return high

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked[name] = ("choice", *choices)
        return choices[-1]


def test_a_sampler_of_optuna_is_asked_for_each_option() -> None:
    space = {
        "rate": search.log_uniform(1e-4, 0.1),
        "drop": search.uniform(0.0, 0.5),
        "layers": search.integer(1, 4),
        "kind": search.choice(["adam", "sgd"]),
    }
    trial = Trial()
    objective = search.suggested_objective(lambda **point: np.float32(point["layers"] + point["drop"]), space=space)
    value = objective(trial)
    assert (value, type(value)) == (4.5, float)
    assert trial.asked == {
        "rate": ("log", 1e-4, 0.1),
        "drop": ("float", 0.0, 0.5),
        "layers": ("int", 1, 4),
        "kind": ("choice", "adam", "sgd"),
    }
    assert list(trial.asked) == sorted(space)
