"""Known faults of schedules elsewhere, each as what must hold here."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import schedules
from fjdl.optim import sgd
from tests.schedules.support import LAST, at


def test_r43_the_first_update_of_a_warmup_from_0_is_exactly_0_and_one_from_elsewhere_is_not() -> None:
    for start in (0.0, 0.01):
        optimizer = sgd(schedules.warmup(schedules.constant(0.1), steps=5, start=start))
        updates, _ = optimizer.update(jnp.asarray(3.0), optimizer.init(jnp.asarray(1.0)))
        np.testing.assert_allclose(updates, -3 * start, rtol=1e-6)


def test_r43_a_boundary_applies_at_its_step() -> None:
    schedule = schedules.piecewise_constant(values=[0.1, 0.01], boundaries=[100])
    np.testing.assert_array_equal(at(schedule, [0, 99, 100, 101, LAST]), np.float32([0.1, 0.1, 0.01, 0.01, 0.01]))
    joined = schedules.join([schedules.constant(0.1), schedules.constant(0.01)], boundaries=[100])
    np.testing.assert_array_equal(at(joined, [0, 99, 100, 101, LAST]), np.float32([0.1, 0.1, 0.01, 0.01, 0.01]))


def test_r43_one_cycle_ends_exactly_at_its_final_value() -> None:
    schedule = schedules.one_cycle(peak=1.0, steps=100, first_divisor=20.0, last_divisor=1e9)
    np.testing.assert_array_equal(at(schedule, [99, 100, 101, LAST]), np.float32(1 / 20 / 1e9))
    assert optax.cosine_onecycle_schedule(100, 1.0, final_div_factor=1e9)(99) > 1e-5


def test_r43_a_warmup_as_long_as_all_steps_is_refused_by_its_own_name() -> None:
    with pytest.raises(ValueError, match="warmup_steps must be smaller than steps, got warmup_steps=10 and steps=10"):
        schedules.warmup_cosine(peak=0.1, warmup_steps=10, steps=10)


def test_r43_a_first_boundary_at_0_is_refused() -> None:
    with pytest.raises(ValueError, match=r"boundaries must be positive and rise, got \[0, 5\]"):
        schedules.piecewise_constant(values=[1.0, 0.5, 0.1], boundaries=[0, 5])


ALL = {
    "constant": schedules.constant(0.1),
    "cosine": schedules.cosine(peak=0.1, steps=10),
    "linear": schedules.linear(peak=0.1, steps=10),
    "polynomial": schedules.polynomial(peak=0.1, steps=10, power=2.0),
    "exponential": schedules.exponential(peak=0.1, rate=0.1),
    "inverse_time": schedules.inverse_time(peak=0.1, rate=0.1),
    "inverse_sqrt": schedules.inverse_sqrt(peak=0.1),
    "step_decay": schedules.step_decay(peak=0.1, every=3, factor=0.5),
    "cosine_restarts": schedules.cosine_restarts(peak=0.1, steps=10, multiplier=2),
    "cyclic": schedules.cyclic(low=0.01, high=0.1, rise=10, cycle_factor=0.5),
    "one_cycle": schedules.one_cycle(peak=0.1, steps=10),
    "warmup_cosine": schedules.warmup_cosine(peak=0.1, warmup_steps=3, steps=10),
    "warmup_inverse_sqrt": schedules.warmup_inverse_sqrt(peak=0.1, warmup_steps=3),
}


@pytest.mark.parametrize("name", ALL)
def test_r43_a_rate_lies_between_0_and_its_peak_up_to_the_last_int32_step(name: str) -> None:
    values = at(ALL[name], [0, 1, 9, 10, 11, 2**24, 2**24 + 1, 2**31 - 2, LAST])
    assert np.all((values >= 0) & (values <= np.float32(0.1)))
    assert values[-1] <= values[1] or name == "cosine_restarts"
