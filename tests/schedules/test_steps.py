"""What every schedule takes for a step: whole numbers of Python and NumPy, and arrays of them."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import schedules
from tests.cases.schedules import CASES

every_schedule = pytest.mark.parametrize("schedule", [case.function for case in CASES], ids=[c.name for c in CASES])


@every_schedule
def test_numpy_steps_and_whole_arrays_of_steps_give_the_rate_of_each(schedule: Any) -> None:
    steps = np.arange(0, 200, 9)
    one_by_one = np.stack([schedule(s) for s in steps])
    assert one_by_one.dtype == np.float32
    for array in (steps.astype(np.int32), steps.astype(np.int16), jnp.asarray(steps, jnp.int32)):
        np.testing.assert_allclose(schedule(array), one_by_one, rtol=1e-5, atol=1e-9)
    table = schedule(steps[:22].reshape(2, 11))
    np.testing.assert_allclose(table, one_by_one[:22].reshape(2, 11), rtol=1e-5, atol=1e-9)
    assert table.dtype == jnp.float32
    assert schedule(np.zeros(0, np.int32)).shape == (0,)


FACTORIES = {
    name: getattr(schedules, name)
    for name in schedules.__all__
    if inspect.isfunction(getattr(schedules, name)) and name not in ("join", "warmup", "piecewise_constant")
}
RATES = {"value", "peak", "final", "low", "high", "start", "factor", "rate", "power", "cycle_factor", "step_factor"}
SOME = {"steps": 30, "every": 5, "rise": 4, "warmup_steps": 5, "value": 0.3, "peak": 0.3, "low": 0.1, "high": 0.3,
        "factor": 0.5, "rate": 0.02, "power": 0.9, "start": 0.3, "final": 0.1}  # fmt: skip


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES.keys())
def test_rates_may_be_numbers_of_numpy_and_traced(factory: Any) -> None:
    options = {name: SOME[name] for name in inspect.signature(factory).parameters if name in SOME}
    rates = {name: value for name, value in options.items() if name in RATES}
    expected = factory(**options)(np.arange(40))
    of_numpy = {name: np.float32(value) for name, value in rates.items()}
    np.testing.assert_allclose(factory(**{**options, **of_numpy})(np.arange(40)), expected, rtol=1e-5)
    traced = jax.jit(lambda rates: factory(**{**options, **rates})(np.arange(40)))(rates)
    np.testing.assert_allclose(traced, expected, rtol=1e-5, atol=1e-8)


GEOMETRIC = {
    "floor": {"start": 0.3, "factor": 0.5, "every": 20, "final": 0.05},
    "late": {"start": 0.3, "factor": 0.5, "every": 20, "begin": 15},
    "stepwise": {"start": 0.3, "factor": 0.5, "every": 20, "begin": 15, "stepwise": True, "final": 0.01},
    "growth": {"start": 0.01, "factor": 2.0, "every": 10},
    "ceiling": {"start": 0.01, "factor": 2.0, "every": 10, "begin": 3, "stepwise": True, "final": 0.3},
    "constant": {"start": 0.3, "factor": 1.0, "every": 10},
}


@pytest.mark.parametrize("options", GEOMETRIC.values(), ids=GEOMETRIC.keys())
def test_geometric_equals_optax(options: dict[str, Any]) -> None:
    names = {"start": "init_value", "factor": "decay_rate", "every": "transition_steps", "begin": "transition_begin",
             "stepwise": "staircase", "final": "end_value"}  # fmt: skip
    theirs = optax.exponential_decay(**{names[name]: value for name, value in options.items()})
    steps = np.arange(150)
    np.testing.assert_allclose(schedules.geometric(**options)(steps), [theirs(s) for s in steps], rtol=1e-5)


def test_geometric_at_the_last_step_is_its_bound() -> None:
    last = 2**31 - 1
    assert schedules.geometric(start=1.0, factor=0.5, every=3, final=0.25)(last) == 0.25
    assert schedules.geometric(start=1.0, factor=0.5, every=3)(last) == 0
    assert schedules.geometric(start=1.0, factor=2.0, every=3, final=8.0)(last) == 8
    assert schedules.geometric(start=2.0, factor=2.0, every=3)(last) == np.finfo(np.float32).max
    assert schedules.geometric(start=0.0, factor=2.0, every=3)(last) == 0


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"start": -1.0}, "start must be finite and not negative, got -1.0"),
        ({"factor": 0.0}, "factor must be positive and finite, got 0.0"),
        ({"every": 0}, "every must be positive and finite, got 0"),
        ({"begin": -1}, "begin must be finite and not negative, got -1"),
        ({"final": np.inf}, "final must be finite and not negative, got inf"),
    ],
)
def test_impossible_options_of_geometric_are_refused(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        schedules.geometric(**{"start": 1.0, "factor": 0.5, "every": 10, **options})
