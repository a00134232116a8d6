"""Worked numbers of the notes on learning-rate schedules: peak 0.1, k 0.01, T 100, at steps 1, 25, 50 and 100."""

import numpy as np
import pytest

from fjdl import schedules

W51 = {
    "exponential": (schedules.exponential(peak=0.1, rate=0.01), [0.0990050, 0.0778801, 0.0606531, 0.0367879]),
    "linear": (schedules.linear(peak=0.1, steps=100), [0.099, 0.075, 0.05, 0.0]),
    "cosine": (schedules.cosine(peak=0.1, steps=100), [0.0999753, 0.0853553, 0.05, 0.0]),
    "inverse_sqrt": (schedules.inverse_sqrt(peak=0.1), [0.1, 0.02, 0.0141421, 0.01]),
    "inverse_time": (schedules.inverse_time(peak=0.1, rate=0.01), [0.0990099, 0.08, 0.0666667, 0.05]),
}


@pytest.mark.parametrize("name", W51)
def test_w51_schedules_at_four_steps(name: str) -> None:
    schedule, expected = W51[name]
    np.testing.assert_allclose([schedule(step) for step in (1, 25, 50, 100)], expected, atol=1e-7)


@pytest.mark.parametrize("name", W51)
def test_e82_every_schedule_is_its_peak_at_step_0(name: str) -> None:
    np.testing.assert_allclose(W51[name][0](0), 0.1, rtol=1e-6)
