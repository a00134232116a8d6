import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from torch.optim import lr_scheduler

from fjdl import schedules
from fjdl.schedules import Schedule
from tests.schedules.support import LAST, at, of_torch

OPTAX = {
    "constant": (schedules.constant(0.3), optax.constant_schedule(0.3)),
    "cosine": (schedules.cosine(peak=0.3, steps=100), optax.cosine_decay_schedule(0.3, 100)),
    "cosine-final": (
        schedules.cosine(peak=0.4, steps=100, final=0.1),
        optax.cosine_decay_schedule(0.4, 100, alpha=0.25),
    ),
    "cosine-one-step": (schedules.cosine(peak=0.3, steps=1), optax.cosine_decay_schedule(0.3, 1)),
    "linear": (schedules.linear(peak=0.3, steps=100, final=0.1), optax.linear_schedule(0.3, 0.1, 100)),
    "polynomial": (
        schedules.polynomial(peak=0.3, steps=100, power=0.9, final=0.1),
        optax.polynomial_schedule(0.3, 0.1, 0.9, 100),
    ),
    "exponential": (schedules.exponential(peak=0.3, rate=0.02), optax.exponential_decay(0.3, 1, math.exp(-0.02))),
    "step-decay": (
        schedules.step_decay(peak=0.3, every=20, factor=0.5),
        optax.exponential_decay(0.3, 20, 0.5, staircase=True),
    ),
    "piecewise-constant": (
        schedules.piecewise_constant(values=[0.3, 0.1, 0.2], boundaries=[20, 100]),
        optax.piecewise_constant_schedule(0.3, {20: 1 / 3, 100: 2}),
    ),
    "inverse-time": (schedules.inverse_time(peak=0.3, rate=0.02), lambda t: 0.3 / (1 + 0.02 * t)),
    "inverse-sqrt": (schedules.inverse_sqrt(peak=0.3), lambda t: 0.3 / max(t, 1) ** 0.5),
}

STEPS = [0, 1, 19, 20, 21, 50, 99, 100, 101, 2**24 + 1]

# The value held to the last int32 step, and the rate that a decay without an end has there.
LAST_VALUES = {
    "constant": 0.3, "cosine": 0.0, "cosine-final": 0.1, "cosine-one-step": 0.0, "linear": 0.1, "polynomial": 0.1,
    "exponential": 0.0, "step-decay": 0.0, "piecewise-constant": 0.2,
    "inverse-time": 0.3 / (1 + 0.02 * LAST), "inverse-sqrt": 0.3 / LAST**0.5,
}  # fmt: skip


@pytest.mark.parametrize("name", OPTAX)
def test_equals_optax_and_holds_its_last_value(name: str) -> None:
    ours, theirs = OPTAX[name]
    values = at(ours, [*STEPS, LAST])
    np.testing.assert_allclose(values[:-1], [theirs(step) for step in STEPS], rtol=2e-6, atol=2e-8)
    np.testing.assert_allclose(values[-1], LAST_VALUES[name], rtol=1e-6)


TORCH = {
    "step-decay": (
        schedules.step_decay(peak=0.3, every=4, factor=0.1),
        lambda o: lr_scheduler.StepLR(o, step_size=4, gamma=0.1),
    ),
    "piecewise-constant": (
        schedules.piecewise_constant(values=[0.3, 0.03, 0.003], boundaries=[5, 9]),
        lambda o: lr_scheduler.MultiStepLR(o, milestones=[5, 9], gamma=0.1),
    ),
    "linear": (
        schedules.linear(peak=0.3, steps=10, final=0.03),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=10),
    ),
    "polynomial": (
        schedules.polynomial(peak=0.3, steps=10, power=2.5),
        lambda o: lr_scheduler.PolynomialLR(o, total_iters=10, power=2.5),
    ),
    "exponential": (
        schedules.exponential(peak=0.3, rate=0.2),
        lambda o: lr_scheduler.ExponentialLR(o, gamma=math.exp(-0.2)),
    ),
}


@pytest.mark.parametrize("name", TORCH)
def test_equals_torch_at_every_step_and_beyond_the_end(name: str) -> None:
    ours, theirs = TORCH[name]
    expected = of_torch(theirs, rate=0.3, steps=14)
    np.testing.assert_allclose(at(ours, range(14)), expected, rtol=1e-5, atol=1e-9)


def test_cosine_equals_torch_up_to_its_end_where_torch_rises_again() -> None:
    torch = of_torch(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=10, eta_min=0.1), rate=0.3, steps=16)
    ours = at(schedules.cosine(peak=0.3, steps=10, final=0.1), range(16))
    np.testing.assert_allclose(ours[:11], torch[:11], rtol=1e-6)
    np.testing.assert_array_equal(ours[10:], np.float32(0.1))
    assert torch[15] > 0.15


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.cosine(peak=0.7, steps=7, final=0.1),
        schedules.linear(peak=0.7, steps=7, final=0.1),
        schedules.polynomial(peak=0.7, steps=7, final=0.1, power=0.5),
    ],
)
def test_both_ends_are_exact(schedule: Schedule) -> None:
    np.testing.assert_array_equal(at(schedule, [0, 7, 8, LAST]), np.float32([0.7, 0.1, 0.1, 0.1]))


def test_a_boundary_is_the_first_step_of_the_new_value() -> None:
    schedule = schedules.piecewise_constant(values=[3.0, 2.0, 0.0], boundaries=[4, 6])
    np.testing.assert_array_equal(at(schedule, [0, 3, 4, 5, 6, 7, LAST]), [3, 3, 2, 2, 0, 0, 0])
    np.testing.assert_array_equal(at(schedules.piecewise_constant(values=[3.0], boundaries=[]), [0, LAST]), [3, 3])


@pytest.mark.parametrize(
    ("factory", "options", "rule"),
    [
        (schedules.constant, {"value": -0.1}, "value must be finite and not negative, got -0.1"),
        (schedules.cosine, {"peak": math.inf, "steps": 1}, "peak must be finite and not negative, got inf"),
        (schedules.cosine, {"peak": 1.0, "steps": 0}, "steps must be positive, got 0"),
        (schedules.linear, {"peak": 1.0, "steps": -3}, "steps must be positive, got -3"),
        (schedules.linear, {"peak": 1.0, "steps": 1, "final": math.nan}, "final must be finite"),
        (schedules.polynomial, {"peak": 1.0, "steps": 1, "power": 0.0}, "power must be positive, got 0.0"),
        (schedules.exponential, {"peak": 1.0, "rate": -1.0}, "rate must be finite and not negative, got -1.0"),
        (schedules.step_decay, {"peak": 1.0, "every": 0, "factor": 0.5}, "every must be positive, got 0"),
        (schedules.step_decay, {"peak": 1.0, "every": 1, "factor": 1.5}, r"factor must lie in \(0, 1\], got 1.5"),
        (schedules.piecewise_constant, {"values": [1.0], "boundaries": [2]}, "1 parts need 0 boundaries, got 1"),
        (
            schedules.piecewise_constant,
            {"values": [1.0, 0.5, 0.1], "boundaries": [5, 5]},
            r"boundaries must be positive and rise, got \[5, 5\]",
        ),
        (
            schedules.piecewise_constant,
            {"values": [1.0, -0.5], "boundaries": [5]},
            r"values\[1\] must be finite and not negative, got -0.5",
        ),
    ],
)
def test_impossible_options_are_refused(factory: Any, options: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        factory(**options)


def test_a_step_that_is_no_integer_is_refused() -> None:
    with pytest.raises(ValueError, match="argument `step`"):
        schedules.cosine(peak=0.1, steps=10)(jnp.asarray(0.5))
