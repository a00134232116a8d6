import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import optim
from fjdl.optim.base import bias_correction
from tests.support import float64


def test_the_first_update_uses_the_schedule_at_step_zero() -> None:
    optimizer = optim.scale_by_learning_rate(lambda step: 0.5 - 0.25 * step)
    state = optimizer.init(jnp.ones(()))
    rates = []
    for _ in range(3):
        update, state = optimizer.update(jnp.ones(()), state)
        rates.append(-float(update))
    assert rates == [0.5, 0.25, 0.0]


def test_the_count_of_steps_saturates() -> None:
    optimizer = optim.scale_by_learning_rate(0.1)
    last = np.iinfo(np.int32).max
    for step, expected in [(last - 1, last), (last, last)]:
        _, state = optimizer.update(jnp.ones(2), optim.LearningRateState(jnp.asarray(step, jnp.int32)))
        assert state.step == expected
        assert state.step.dtype == jnp.int32


def test_a_number_and_a_schedule_have_the_same_state() -> None:
    number = optim.scale_by_learning_rate(0.1).init(jnp.ones(2))
    schedule = optim.scale_by_learning_rate(lambda step: 0.1).init(jnp.ones(2))
    assert number == schedule


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999, 0.99999])
@pytest.mark.parametrize("step", [1, 2, 1000, 2**31 - 1])
def test_bias_correction_has_no_cancellation_in_float32(decay: float, step: int) -> None:
    actual = bias_correction(decay, jnp.asarray(step, jnp.int32))
    np.testing.assert_allclose(actual, 1 - decay**step if decay < 0.99 else -np.expm1(step * np.log(decay)), rtol=3e-7)


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_bias_correction_is_exact_in_float64(decay: float) -> None:
    with float64():
        np.testing.assert_allclose(bias_correction(decay, jnp.asarray(3)), 1 - decay**3, rtol=1e-12)


def test_a_wrong_type_of_learning_rate_is_named() -> None:
    with pytest.raises(ValueError, match="scale_by_learning_rate: argument `learning_rate`"):
        optim.scale_by_learning_rate("0.1")  # type: ignore[arg-type]
