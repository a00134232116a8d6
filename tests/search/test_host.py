"""Random search on the host: Python objectives, and the options that they are called with."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fjdl import search
from fjdl.classical import descend, squared_error, zeros
from fjdl.optim import sgd

KEY = jax.random.key(0)
SPACE = {
    "rate": search.log_uniform(1e-4, 1.0),
    "layers": search.integer(1, 3),
    "drop": search.uniform(-1.0, 2.0),
    "kind": search.choice(["relu", "tanh"]),
}


def tried(trials: int, **space: Any) -> list[Any]:
    (name,) = space
    return [point[name] for point in search.random_search(KEY, lambda **_: 0.0, space=space, trials=trials).points]


@pytest.mark.by_day_on_pin(0)
def test_a_whole_training_run_is_wrapped() -> None:
    """A rate of 1 diverges, one of 1e-4 hardly moves, and batches change how many steps there are."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((24, 2)).astype(np.float32)
    y = x @ np.array([[3.0], [-2.0]], np.float32)
    runs: list[tuple[float, int]] = []

    def final_cost(learning_rate: float, batch_size: int) -> float:
        runs.append((learning_rate, batch_size))
        optimizer = sgd(learning_rate)
        found = descend(KEY, squared_error, zeros(2, 1), x, y, optimizer=optimizer, epochs=5, batch_size=batch_size)
        return float(found.costs[-1]) if found.costs[-1] < 100 else math.nan

    space = {"learning_rate": search.log_uniform(1e-4, 10.0), "batch_size": search.choice([8, 24])}
    found = search.random_search(KEY, final_cost, space=space, trials=8)
    assert [(point["learning_rate"], point["batch_size"]) for point in found.points] == runs
    assert found.value == min(found.values) == found.history[-1] == final_cost(**found.point)
    assert 0.01 < found.point["learning_rate"] < 1
    assert math.inf in found.values
    assert list(found.history) == np.minimum.accumulate(found.values).tolist()


def test_the_objective_gets_python_numbers_and_runs_on_the_host() -> None:
    seen = []

    def objective(*, rate: float, layers: int, drop: float, kind: str) -> Any:
        seen.append((type(rate), type(layers), type(drop), type(kind)))
        return jnp.asarray(rate * layers + abs(drop))  # a JAX scalar is a number as well

    found = search.random_search(KEY, objective, space=SPACE, trials=5)
    assert set(seen) == {(float, int, float, str)}
    assert len(seen) == len(found.values) == 5
    again = search.random_search(KEY, objective, space=dict(reversed(SPACE.items())), trials=5)
    assert again == found
    assert search.random_search(jax.random.key(1), objective, space=SPACE, trials=5).points != found.points


def test_draws_have_their_distributions() -> None:
    rates = np.log(tried(4000, rate=SPACE["rate"]))
    assert scipy.stats.kstest(rates, scipy.stats.uniform(np.log(1e-4), np.log(1e4)).cdf).pvalue > 1e-3
    drops = tried(4000, drop=SPACE["drop"])
    assert scipy.stats.kstest(drops, scipy.stats.uniform(-1, 3).cdf).pvalue > 1e-3
    for name, values in (("layers", [1, 2, 3]), ("kind", ["relu", "tanh"])):
        drawn = tried(3000, **{name: SPACE[name]})
        counts = [drawn.count(value) for value in values]
        assert sum(counts) == 3000
        assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_spaces_take_equal_parts_of_the_unit_interval_and_keep_their_ends() -> None:
    last = 1 - 2.0**-32
    assert [search.integer(-1, 1)(share) for share in (0, 1 / 3 - 1e-9, 1 / 3, last)] == [-1, -1, 0, 1]
    assert [search.choice("ab")(share) for share in (0, 0.5, last)] == ["a", "b", "b"]
    assert search.integer(5, 5)(0.7) == 5
    assert search.integer(0, 2**40 - 1)(last) == 2**40 - 2**8
    np.testing.assert_allclose([search.log_uniform(1e-4, 1.0)(share) for share in (0, 0.5, last)], [1e-4, 1e-2, 1])
    np.testing.assert_allclose([search.uniform(2.0, 4.0)(share) for share in (0, 0.5)], [2, 3])


def test_nan_is_never_the_best_and_an_error_of_the_objective_comes_through() -> None:
    values = iter([math.nan, 2.0, -math.inf, 1.0])
    found = search.random_search(KEY, lambda rate: next(values), space={"rate": SPACE["rate"]}, trials=4)
    assert found.values == (math.inf, 2.0, -math.inf, 1.0)
    assert found.history == (math.inf, 2.0, -math.inf, -math.inf)
    with pytest.raises(ZeroDivisionError):
        search.random_search(KEY, lambda rate: 1 / 0, space={"rate": SPACE["rate"]}, trials=1)


def test_bad_spaces_are_refused() -> None:
    for space, sentence in (
        (lambda: search.uniform(2.0, 2.0), r"^low must be smaller than high, both finite, got low=2.0 and high=2.0$"),
        (lambda: search.log_uniform(0.0, 1.0), r"^low must be positive and finite, got 0.0$"),
        (lambda: search.log_uniform(1.0, math.inf), r"^low must be smaller than high, both finite"),
        (lambda: search.integer(3, 2), r"^low must be at most high, got low=3 and high=2$"),
        (lambda: search.choice([]), r"^values must hold at least one, got none$"),
        (lambda: search.random_search(KEY, max, space=SPACE, trials=0), r"trials must be at least 1, got 0"),
        (lambda: search.random_search(KEY, max, trials=2), r"one of sample and space must be given, got neither"),
    ):
        with pytest.raises(ValueError, match=sentence):
            space()
