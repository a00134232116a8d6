from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from torch.optim import lr_scheduler

from fjdl import schedules
from tests.schedules.support import LAST, at, of_torch

PAIRS = {
    "warmup-constant": (
        schedules.warmup(schedules.constant(0.3), steps=20),
        optax.join_schedules([optax.linear_schedule(0.0, 0.3, 20), optax.constant_schedule(0.3)], [20]),
    ),
    "warmup-start": (
        schedules.warmup(schedules.cosine(peak=0.3, steps=80), steps=20, start=0.1),
        optax.warmup_cosine_decay_schedule(0.1, 0.3, 20, 100),
    ),
    "warmup-of-optax": (
        schedules.warmup(optax.exponential_decay(0.3, 10, 0.5), steps=20),
        optax.join_schedules([optax.linear_schedule(0.0, 0.3, 20), optax.exponential_decay(0.3, 10, 0.5)], [20]),
    ),
    "warmup-cosine": (
        schedules.warmup_cosine(peak=0.3, warmup_steps=20, steps=100, final=0.03),
        optax.warmup_cosine_decay_schedule(0.0, 0.3, 20, 100, 0.03),
    ),
    "warmup-inverse-sqrt": (
        schedules.warmup_inverse_sqrt(peak=0.3, warmup_steps=20),
        lambda t: 0.3 * min(t / 20, (20 / max(t, 1)) ** 0.5),
    ),
    "join": (
        schedules.join(
            [schedules.constant(0.3), schedules.linear(peak=0.2, steps=50), schedules.constant(0.1)],
            boundaries=[20, 100],
        ),
        optax.join_schedules(
            [optax.constant_schedule(0.3), optax.linear_schedule(0.2, 0.0, 50), optax.constant_schedule(0.1)],
            [20, 100],
        ),
    ),
}

STEPS = [0, 1, 19, 20, 21, 50, 99, 100, 101, 2**24 + 1]
LAST_VALUES = {
    "warmup-constant": 0.3, "warmup-start": 0.0, "warmup-of-optax": 0.0, "warmup-cosine": 0.03,
    "warmup-inverse-sqrt": 0.3 * (20 / LAST) ** 0.5, "join": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_equals_optax_and_holds_its_last_value(name: str) -> None:
    ours, theirs = PAIRS[name]
    values = at(ours, [*STEPS, LAST])
    np.testing.assert_allclose(values[:-1], [theirs(step) for step in STEPS], rtol=2e-6, atol=2e-8)
    np.testing.assert_allclose(values[-1], LAST_VALUES[name], rtol=1e-6)


def test_join_equals_torch() -> None:
    def build(optimizer: Any) -> Any:
        first = lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=1)
        second = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        return lr_scheduler.SequentialLR(optimizer, [first, second], milestones=[6])

    ours = schedules.join(
        [schedules.constant(0.3), schedules.exponential(peak=0.3, rate=float(np.log(2)))], boundaries=[6]
    )
    np.testing.assert_allclose(at(ours, range(12)), of_torch(build, rate=0.3, steps=12), rtol=1e-5)


def test_both_ends_are_exact() -> None:
    schedule = schedules.warmup_cosine(peak=0.3, warmup_steps=5, steps=20, final=0.1)
    np.testing.assert_array_equal(at(schedule, [0, 5, 20]), np.float32([0.0, 0.3, 0.1]))


def test_the_inverse_root_after_a_warmup_counts_from_step_0_or_from_the_end_of_the_warmup() -> None:
    vaswani = at(schedules.warmup_inverse_sqrt(peak=1.0, warmup_steps=100), [100, 101, 400])
    np.testing.assert_allclose(vaswani, [1.0, (100 / 101) ** 0.5, 0.5], rtol=1e-6)
    counted = at(schedules.warmup(schedules.inverse_sqrt(peak=1.0), steps=100), [100, 101, 104, 400])
    np.testing.assert_allclose(counted, [1.0, 1.0, 0.5, 300**-0.5], rtol=1e-6)


def test_a_joined_schedule_is_never_called_with_a_negative_step() -> None:
    schedule = schedules.warmup(lambda step: 1 / jnp.sqrt(step.astype(jnp.float32) + 1), steps=10)
    np.testing.assert_allclose([schedule(step) for step in (0, 5, 10, 13)], [0.0, 0.5, 1.0, 0.5], rtol=1e-6)


def test_one_schedule_joined_with_nothing_is_itself() -> None:
    np.testing.assert_array_equal(
        at(schedules.join([schedules.constant(0.3)], boundaries=[]), [0, LAST]), np.float32(0.3)
    )


@pytest.mark.parametrize("steps", [0, -3])
def test_steps_that_are_not_positive_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=f"steps must be positive, got {steps}"):
        schedules.warmup(schedules.constant(0.1), steps=steps)
    with pytest.raises(ValueError, match=f"warmup_steps must be positive, got {steps}"):
        schedules.warmup_inverse_sqrt(peak=0.1, warmup_steps=steps)


def test_a_cosine_may_have_no_warmup() -> None:
    schedule = schedules.warmup_cosine(peak=0.1, warmup_steps=0, steps=10)
    np.testing.assert_allclose(at(schedule, [0, 5, 10]), [0.1, 0.05, 0.0], atol=1e-8)
    with pytest.raises(ValueError, match="warmup_steps must be at least 0, got -1"):
        schedules.warmup_cosine(peak=0.1, warmup_steps=-1, steps=10)


def test_a_negative_start_and_wrong_boundaries_are_refused() -> None:
    with pytest.raises(ValueError, match=r"start must be finite and not negative, got -1\.0"):
        schedules.warmup(schedules.constant(0.1), steps=2, start=-1.0)
    with pytest.raises(ValueError, match="2 parts need 1 boundaries, got 0"):
        schedules.join([schedules.constant(0.1)] * 2, boundaries=[])
    with pytest.raises(ValueError, match=r"boundaries must be positive and rise, got \[0\]"):
        schedules.join([schedules.constant(0.1)] * 2, boundaries=[0])


@pytest.mark.parametrize("warmup_steps", [100, 101])
def test_a_warmup_as_long_as_the_whole_is_refused_with_both_numbers(warmup_steps: int) -> None:
    with pytest.raises(ValueError, match=f"got warmup_steps={warmup_steps} and steps=100"):
        schedules.warmup_cosine(peak=0.1, warmup_steps=warmup_steps, steps=100)
