from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim, schedules
from tests.support import assert_trees_close, float64

GOAL = np.random.default_rng(0).standard_normal(5)


def loss(w: Any) -> Any:
    return jnp.sum(jnp.square(w - GOAL.astype(w.dtype)) * jnp.arange(1, 6, dtype=w.dtype))


def run(optimizer: Any, steps: int) -> tuple[Any, Any]:
    params = jnp.zeros(5)
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    for _ in range(steps):
        updates, state = update(jax.grad(loss)(params), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


@pytest.mark.parametrize("momentum", [0.9, 0.5])
def test_parameters_and_those_for_evaluation_equal_optax(momentum: float) -> None:
    with float64():
        ours, state = run(optim.schedule_free(optim.adam(0.1, b1=0.0), 0.1, momentum=momentum), 20)
        theirs, their_state = run(optax.contrib.schedule_free(optax.adam(0.1, b1=0.0), 0.1, b1=momentum), 20)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)
        expected = optax.contrib.schedule_free_eval_params(their_state, theirs)
        np.testing.assert_allclose(optim.evaluation_params(ours, state), expected, rtol=1e-10)


def test_the_evaluation_parameters_are_the_mean_of_the_fast_ones_weighted_by_the_rate() -> None:
    rate = schedules.warmup(schedules.constant(0.05), steps=4)
    with float64():
        optimizer, params, fast, weights = optim.schedule_free(optim.sgd(rate), rate), jnp.zeros(5), [], []
        state = optimizer.init(params)
        for step in range(9):
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            params = optax.apply_updates(params, updates)
            fast.append(np.asarray(state.fast))
            weights.append(max(float(rate(s)) for s in range(step + 1)) ** 2)
        expected = np.average(fast, axis=0, weights=weights)
        np.testing.assert_allclose(optim.evaluation_params(params, state), expected, rtol=1e-6)
        np.testing.assert_allclose(params, 0.1 * fast[-1] + 0.9 * expected, rtol=1e-6)


def test_a_rate_of_zero_moves_nothing_and_the_average_starts_later() -> None:
    params, state = run(optim.schedule_free(optim.sgd(0.0), 0.0), 3)
    np.testing.assert_array_equal(params, 0.0)
    np.testing.assert_array_equal(optim.evaluation_params(params, state), 0.0)


def test_bfloat16_parameters_keep_float32_fast_ones() -> None:
    optimizer = optim.schedule_free(optim.sgd(0.1), 0.1)
    state = optimizer.init({"w": jnp.ones(3, jnp.bfloat16)})
    assert state.fast["w"].dtype == jnp.float32
    evaluated = optim.evaluation_params({"w": jnp.ones(3, jnp.bfloat16)}, state)
    assert_trees_close(evaluated, {"w": np.ones(3, np.float32)}, rtol=0, atol=0)
    assert evaluated["w"].dtype == jnp.float32


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"momentum": 0.0}, r"momentum must lie in \(0, 1\], got 0.0"),
        ({"power": -1.0}, "power must be finite and not negative, got -1.0"),
        ({"learning_rate": -0.1}, "learning_rate must be finite and not negative, got -0.1"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        optim.schedule_free(optim.sgd(0.1), **{"learning_rate": 0.1, **options})


def test_the_parameters_are_needed() -> None:
    optimizer = optim.schedule_free(optim.sgd(0.1), 0.1)
    with pytest.raises(ValueError, match="params must be given to schedule_free"):
        optimizer.update(jnp.ones(1), optimizer.init(jnp.ones(1)))
