"""Assignments beside `scipy.optimize.linear_sum_assignment`: the same number of pairs and the same sum."""

import jax
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from fjdl import boxes


def total(costs: np.ndarray, found: np.ndarray) -> tuple[int, float]:
    """The number of pairs and the sum of their costs; every column has one row at most."""
    rows = np.flatnonzero(found >= 0)
    assert len(np.unique(found[rows])) == len(rows)
    return len(rows), float(np.sum(costs[rows, found[rows]], dtype=np.float64))


def least(costs: np.ndarray) -> tuple[int, float]:
    rows, columns = linear_sum_assignment(costs)
    return len(rows), float(np.sum(costs[rows, columns], dtype=np.float64))


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (4, 9), (9, 4), (1, 6)])
@pytest.mark.parametrize("ties", [False, True])
def test_the_sum_is_the_least(rng: np.random.Generator, shape: tuple[int, int], ties: bool) -> None:
    program = jax.jit(jax.vmap(boxes.assign))
    costs = rng.integers(-3, 4, (20, *shape)) if ties else 100 * rng.standard_normal((20, *shape))
    costs = costs.astype(np.float32)
    for own, found in zip(costs, np.asarray(program(costs)), strict=True):
        np.testing.assert_allclose(total(own, found), least(own), rtol=1e-5, atol=1e-4)


def test_rows_and_columns_that_do_not_count_get_none(rng: np.random.Generator) -> None:
    program = jax.jit(boxes.assign)
    for case in range(30):
        costs = rng.standard_normal((5, 7)).astype(np.float32)
        rows, columns = rng.random(5) < 0.7, rng.random(7) < (0.3 if case % 2 else 0.8)
        found = np.asarray(program(np.where(rows[:, None] & columns, costs, np.nan), rows, columns))
        assert np.all(found[~rows] == -1)
        assert np.all(columns[found[found >= 0]])
        expected = least(costs[rows][:, columns])
        np.testing.assert_allclose(total(costs, found), expected, rtol=1e-5, atol=1e-5)


def test_padding_changes_nothing(rng: np.random.Generator) -> None:
    """As DETR's objects have it: rows of padding, whatever they cost."""
    costs = rng.standard_normal((6, 10)).astype(np.float32)
    found = boxes.assign(costs, np.arange(6) < 4)
    assert found[:4].tolist() == boxes.assign(costs[:4]).tolist()
    assert found[4:].tolist() == [-1, -1]


def test_forbidden_pairs_are_never_made() -> None:
    inf, nan = np.inf, np.nan
    assert boxes.assign(np.float32([[1, inf], [0, 5]])).tolist() == [0, 1]
    assert boxes.assign(np.float32([[1, nan], [0, -inf]])).tolist() == [0, -1]
    assert boxes.assign(np.full((2, 3), nan, np.float32)).tolist() == [-1, -1]
    assert boxes.assign(np.float32([[3], [1], [2]])).tolist() == [-1, 0, -1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_without_rows_or_columns_there_are_no_pairs(shape: tuple[int, int]) -> None:
    assert boxes.assign(np.zeros(shape, np.float32)).tolist() == [-1] * shape[0]


def test_a_hundred_predictions_of_large_costs(rng: np.random.Generator) -> None:
    costs = (1e4 + rng.random((30, 100))).astype(np.float32)
    found = np.asarray(boxes.assign(costs))
    np.testing.assert_allclose(total(costs, found), least(costs), rtol=1e-6)
