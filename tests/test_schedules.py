from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import schedules

PAIRS = {
    "constant": (schedules.constant(0.3), optax.constant_schedule(0.3)),
    "cosine": (schedules.cosine(peak=0.3, steps=100), optax.cosine_decay_schedule(0.3, 100)),
    "cosine-final": (
        schedules.cosine(peak=0.4, steps=100, final=0.1),
        optax.cosine_decay_schedule(0.4, 100, alpha=0.25),
    ),
    "cosine-one-step": (schedules.cosine(peak=0.3, steps=1), optax.cosine_decay_schedule(0.3, 1)),
    "linear": (schedules.linear(peak=0.3, steps=100, final=0.1), optax.linear_schedule(0.3, 0.1, 100)),
    "exponential": (schedules.exponential(peak=0.3, rate=0.02), optax.exponential_decay(0.3, 1, float(np.exp(-0.02)))),
    "inverse-time": (schedules.inverse_time(peak=0.3, rate=0.02), lambda t: 0.3 / (1 + 0.02 * t)),
    "inverse-sqrt": (schedules.inverse_sqrt(peak=0.3), lambda t: 0.3 / max(t, 1) ** 0.5),
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
}


@pytest.mark.parametrize("step", [0, 1, 19, 20, 21, 50, 99, 100, 101, 2**24 + 1])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS.values(), ids=PAIRS.keys())
def test_equals_optax(ours: Callable[..., Any], theirs: Callable[..., Any], step: int) -> None:
    actual = jax.jit(ours)(jnp.asarray(step, jnp.int32))
    assert actual.dtype == jnp.float32
    assert actual.shape == ()
    np.testing.assert_allclose(actual, theirs(step), rtol=1e-6, atol=2e-8)
    np.testing.assert_allclose(ours(step), actual, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", PAIRS)
def test_the_last_int32_step_is_no_overflow(name: str) -> None:
    ours, theirs = PAIRS[name]
    last = 2**31 - 1 if name.startswith("inverse") else 2**24
    np.testing.assert_allclose(ours(jnp.asarray(2**31 - 1, jnp.int32)), theirs(last), rtol=1e-6, atol=1e-9)


def test_both_ends_are_exact() -> None:
    schedule = schedules.warmup_cosine(peak=0.3, warmup_steps=5, steps=20, final=0.1)
    assert [schedule(step) for step in (0, 5, 20)] == [np.float32(0.0), np.float32(0.3), np.float32(0.1)]


def test_a_warmed_up_schedule_is_never_called_with_a_negative_step() -> None:
    schedule = schedules.warmup(lambda step: 1 / jnp.sqrt(step.astype(jnp.float32) + 1), steps=10)
    np.testing.assert_allclose([schedule(step) for step in (0, 5, 10, 13)], [0.0, 0.5, 1.0, 0.5], rtol=1e-6)


@pytest.mark.parametrize("steps", [0, -3])
def test_steps_that_are_not_positive_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=f"steps must be positive, got {steps}"):
        schedules.cosine(peak=0.1, steps=steps)
    with pytest.raises(ValueError, match=f"steps must be positive, got {steps}"):
        schedules.warmup(schedules.constant(0.1), steps=steps)
    with pytest.raises(ValueError, match=f"warmup_steps must be positive, got {steps}"):
        schedules.warmup_cosine(peak=0.1, warmup_steps=steps, steps=10)


@pytest.mark.parametrize("warmup_steps", [100, 101])
def test_a_warmup_as_long_as_the_whole_is_refused_with_both_numbers(warmup_steps: int) -> None:
    with pytest.raises(ValueError, match=f"got warmup_steps={warmup_steps} and steps=100"):
        schedules.warmup_cosine(peak=0.1, warmup_steps=warmup_steps, steps=100)


def test_a_step_that_is_no_integer_is_refused() -> None:
    with pytest.raises(ValueError, match="argument `step`"):
        schedules.cosine(peak=0.1, steps=10)(jnp.asarray(0.5))
