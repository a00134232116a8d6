import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.classical import descend, normal_equations, squared_error, steps_per_epoch, zeros
from fjdl.classical.logistic import binary_loss
from fjdl.optim import sgd
from tests.support import float64

KEY = jax.random.key(0)


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[jax.Array, jax.Array]:
    x = rng.standard_normal((20, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + 0.7 + 0.1 * rng.standard_normal((20, 1))
    return jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)


def test_batch_descent_takes_the_steps_of_the_formula(data) -> None:
    x, y = (np.asarray(part, np.float64) for part in data)
    weights, bias = np.zeros((3, 1)), np.zeros(1)
    for _ in range(3):
        error = x @ weights + bias - y
        weights, bias = weights - 0.1 * 2 / 20 * x.T @ error, bias - 0.1 * 2 / 20 * error.sum(axis=0)
    found = descend(KEY, squared_error, zeros(3, 1), *data, optimizer=sgd(0.1), epochs=3)
    np.testing.assert_allclose(found.params.weights, weights, rtol=1e-5)
    np.testing.assert_allclose(found.params.bias, bias, rtol=1e-5)
    np.testing.assert_allclose(found.costs[-1], np.mean((x @ weights + bias - y) ** 2), rtol=1e-4)


def test_e07_batch_descent_updates_once_in_every_epoch(data) -> None:
    by_one = optax.stateless(lambda gradients, params: jax.tree.map(jnp.ones_like, params))
    found = descend(KEY, squared_error, zeros(3, 1), *data, optimizer=by_one, epochs=3)
    np.testing.assert_array_equal(found.params.bias, [3.0])
    assert steps_per_epoch(20, batch_size=20) == 1


@pytest.mark.parametrize("batch_size", [None, 6, 1])
def test_every_variant_comes_near_the_normal_equations(data, batch_size: int | None) -> None:
    schedule = optax.linear_schedule(
        0.05 if batch_size else 0.5, 0.0, 100 * steps_per_epoch(20, batch_size=batch_size or 20)
    )
    fit = jax.jit(partial(descend, loss=squared_error, optimizer=sgd(schedule), epochs=100, batch_size=batch_size))
    found = fit(KEY, params=zeros(3, 1), x=data[0], y=data[1])
    best = normal_equations(*data)
    np.testing.assert_allclose(found.params.weights, best.weights, atol=0.02)


def test_descent_stops_below_the_target_cost(data) -> None:
    found = descend(KEY, squared_error, zeros(3, 1), *data, optimizer=sgd(0.1), epochs=200, target_cost=0.5)
    epochs, costs = int(found.epochs), np.asarray(found.costs)
    assert 1 < epochs < 200
    assert costs[epochs - 1] < 0.5 <= costs[epochs - 2]
    assert np.isnan(costs[epochs:]).all()


def test_logistic_regression_stops_at_its_target(data) -> None:
    x, y = data[0], (data[1] > 0.7).astype(jnp.float32)
    found = descend(KEY, binary_loss, zeros(3, 1), x, y, optimizer=sgd(1.0), epochs=500, target_cost=0.2)
    assert float(found.costs[int(found.epochs) - 1]) < 0.2


@pytest.mark.parametrize(("batch", "updates"), [(20, 1), (6, 4), (1, 20), (64, 1)])
def test_e43_updates_per_epoch_are_rounded_up(batch: int, updates: int) -> None:
    assert steps_per_epoch(20, batch_size=batch) == updates == math.ceil(20 / batch)


def test_e05_e78_an_epoch_visits_every_example_once_and_divides_by_the_batch() -> None:
    """With one weight per example and no decay, a step of size 1 moves each weight by 1 / its batch's size."""
    x, y = jnp.eye(7), jnp.zeros((7, 1))
    found = descend(KEY, lambda p, x, y: -(x @ p), jnp.zeros(7), x, y, optimizer=optax.sgd(1.0), epochs=1, batch_size=3)
    np.testing.assert_allclose(np.sort(found.params), [1 / 3] * 6 + [1.0], rtol=1e-6)


def test_the_same_key_gives_the_same_bits_and_another_another_order(data) -> None:
    runs = [
        descend(key, squared_error, zeros(3, 1), *data, optimizer=sgd(0.05), epochs=2, batch_size=4).params.weights
        for key in (KEY, KEY, jax.random.key(1))
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.any(np.asarray(runs[0]) != np.asarray(runs[2]))


def test_lengths_must_be_positive(data) -> None:
    with float64(), pytest.raises(ValueError, match="must be at least 1, got epochs=0 and batch_size=20"):
        descend(KEY, squared_error, zeros(3, 1), *data, optimizer=sgd(0.1), epochs=0)
