from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from torch.optim import lr_scheduler

from fjdl import schedules
from fjdl.optim import momentum
from tests.schedules.support import LAST, at, of_torch


def one_cycle_of_torch(optimizer: Any) -> Any:
    return lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=50, anneal_strategy="cos")


TORCH = {
    "restarts": (
        schedules.cosine_restarts(peak=0.3, steps=7, final=0.01),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=7, eta_min=0.01),
    ),
    "restarts-longer": (
        schedules.cosine_restarts(peak=0.3, steps=5, multiplier=2),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=5, T_mult=2),
    ),
    "triangular": (
        schedules.cyclic(low=0.1, high=0.3, rise=4),
        lambda o: lr_scheduler.CyclicLR(o, base_lr=0.1, max_lr=0.3, step_size_up=4, cycle_momentum=False),
    ),
    "triangular2": (
        schedules.cyclic(low=0.1, high=0.3, rise=4, fall=7, cycle_factor=0.5),
        lambda o: lr_scheduler.CyclicLR(
            o, base_lr=0.1, max_lr=0.3, step_size_up=4, step_size_down=7, mode="triangular2", cycle_momentum=False
        ),
    ),
    "exp_range": (
        schedules.cyclic(low=0.1, high=0.3, rise=4, step_factor=0.9),
        lambda o: lr_scheduler.CyclicLR(
            o, base_lr=0.1, max_lr=0.3, step_size_up=4, mode="exp_range", gamma=0.9, cycle_momentum=False
        ),
    ),
    "one-cycle": (schedules.one_cycle(peak=0.3, steps=50), one_cycle_of_torch),
    "one-cycle-early-peak": (
        schedules.one_cycle(peak=0.3, steps=50, rising=0.05, first_divisor=3.0, last_divisor=10.0),
        lambda o: lr_scheduler.OneCycleLR(
            o, max_lr=0.3, total_steps=50, pct_start=0.05, div_factor=3.0, final_div_factor=10.0
        ),
    ),
}


@pytest.mark.parametrize("name", TORCH)
def test_equals_torch_at_every_step(name: str) -> None:
    ours, theirs = TORCH[name]
    np.testing.assert_allclose(at(ours, range(50)), of_torch(theirs, rate=0.3, steps=50), rtol=2e-5)


def test_the_momentum_of_the_one_cycle_equals_torch() -> None:
    expected = of_torch(one_cycle_of_torch, rate=0.3, steps=50, field="momentum")
    ours = at(schedules.one_cycle_momentum(steps=50), [*range(50), 50, LAST])
    np.testing.assert_allclose(ours[:50], expected, rtol=1e-6)
    np.testing.assert_array_equal(ours[[0, 49, 50, 51]], np.float32(0.95))


def test_one_cycle_is_exact_at_its_start_its_peak_and_its_end() -> None:
    schedule = schedules.one_cycle(peak=0.3, steps=20, rising=0.3)  # the peak at 0.3 · 20 − 1
    values = at(schedule, [0, 4, 5, 6, 18, 19, 20, LAST])
    np.testing.assert_allclose(values[[0, 5, 6, 7]], [0.012, 1.2e-6, 1.2e-6, 1.2e-6], rtol=1e-6)
    assert values[2] == np.float32(0.3) > max(values[1], values[3])
    assert values[4] > 1e3 * values[5] == 1e3 * values[7]


def test_both_halves_of_the_one_cycle_drive_an_optimizer() -> None:
    rate, mass = schedules.one_cycle(peak=0.1, steps=8), schedules.one_cycle_momentum(steps=8)
    optimizer = optax.inject_hyperparams(momentum)(learning_rate=rate, momentum=mass)
    w, state = jnp.asarray(1.0), optimizer.init(jnp.asarray(1.0))
    update, velocity, expected = jax.jit(optimizer.update), 0.0, 1.0
    for step in range(8):
        velocity = float(mass(step)) * velocity + 2 * expected
        expected -= float(rate(step)) * velocity
        updates, state = update(2 * w, state)
        w = optax.apply_updates(w, updates)
        np.testing.assert_allclose(w, expected, rtol=1e-5, atol=1e-6)


def test_restarts_are_never_a_step_off() -> None:
    schedule = schedules.cosine_restarts(peak=0.3, steps=3, multiplier=3, final=0.1)
    starts = [3 * (3**k - 1) // 2 for k in range(1, 19)]  # 3, 12, 39, … below 2**31
    np.testing.assert_array_equal(at(schedule, [0, *starts]), np.float32(0.3))
    np.testing.assert_allclose(at(schedule, [start - 1 for start in starts[3:]]), 0.1, atol=1e-4)
    theirs = optax.sgdr_schedule(
        [{"init_value": 0.3, "peak_value": 0.3, "warmup_steps": 0, "decay_steps": n, "end_value": 0.1} for n in (3, 9)]
    )
    np.testing.assert_allclose(at(schedule, range(12)), [theirs(step) for step in range(12)], rtol=1e-6)


def test_a_period_of_restarts_is_the_cosine_without_its_end() -> None:
    cosine, restarts = schedules.cosine(peak=0.3, steps=8), schedules.cosine_restarts(peak=0.3, steps=8)
    np.testing.assert_allclose(at(restarts, range(40)), np.tile(at(cosine, range(8)), 5), rtol=1e-6, atol=1e-8)


def test_cycles_at_the_last_int32_step() -> None:
    assert at(schedules.cyclic(low=0.0, high=1.0, rise=2**29), [LAST, LAST - 2**29 + 1]).tolist() == [2**-29, 1.0]
    last = at(schedules.cosine_restarts(peak=1.0, steps=2**30), [2**30, LAST])
    np.testing.assert_allclose(last, [1.0, 0.0], atol=1e-7)


@pytest.mark.parametrize(
    ("factory", "options", "rule"),
    [
        (schedules.cosine_restarts, {"peak": 1.0, "steps": 0}, "steps must be positive, got 0"),
        (schedules.cosine_restarts, {"peak": 1.0, "steps": 1, "multiplier": 0}, "multiplier must be positive, got 0"),
        (schedules.cyclic, {"low": -1.0, "high": 1.0, "rise": 2}, "low must be finite and not negative, got -1.0"),
        (schedules.cyclic, {"low": 0.0, "high": 1.0, "rise": 2, "fall": 0}, "fall must be positive, got 0"),
        (schedules.cyclic, {"low": 0.0, "high": 1.0, "rise": 2, "cycle_factor": 0.0}, "cycle_factor must lie in"),
        (schedules.one_cycle, {"peak": 1.0, "steps": 10, "rising": 0.1}, "got rising=0.1 and steps=10"),
        (schedules.one_cycle, {"peak": 1.0, "steps": 10, "rising": 1.0}, "got rising=1.0 and steps=10"),
        (schedules.one_cycle, {"peak": 1.0, "steps": 1}, "rising must lie between 1 / steps and 1"),
        (schedules.one_cycle, {"peak": 1.0, "steps": 9, "first_divisor": 0.0}, "divisors must be positive, got 0.0"),
        (schedules.one_cycle_momentum, {"low": -0.1, "steps": 9}, "low must be finite and not negative, got -0.1"),
    ],
)
def test_impossible_options_are_refused(factory: Any, options: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        factory(**options)
