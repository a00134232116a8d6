import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from fjdl.metrics import wilson_interval
from tests.support import float64


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0.01, 0.999))
def test_wilson_interval_equals_scipy(count, fraction, confidence):
    successes = round(fraction * count)
    expected = binomtest(successes, count).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(np.array(successes), np.array(count), confidence=confidence)
    np.testing.assert_allclose([low, high], expected, rtol=2e-6, atol=1e-7)
    with float64():
        np.testing.assert_allclose(
            wilson_interval(np.array(successes), np.array(count), confidence=confidence), expected, rtol=1e-6, atol=1e-7
        )


def test_wilson_interval_of_double_precision_inputs_equals_scipy_closely():
    expected = binomtest(3, 10).proportion_ci(method="wilson")
    with float64():
        np.testing.assert_allclose(wilson_interval(np.array(3.0), np.array(10.0)), expected, rtol=1e-13)


def test_no_examples_exclude_nothing():
    assert wilson_interval(np.array(0), np.array(0)) == (0, 1)


def test_no_failures_reach_one_and_no_successes_reach_zero():
    low, high = wilson_interval(np.array([0, 7]), np.array([7, 7]))
    assert (low[0], high[1]) == (0, 1)
    assert 0 < high[0] < 1
    assert low[1] == 1 - high[0]


def test_a_rare_success_keeps_its_digits_in_float32():
    expected = binomtest(1, 10**7).proportion_ci(method="wilson")
    low, _ = wilson_interval(np.array(1), np.array(10**7))
    np.testing.assert_allclose(low, expected.low, rtol=1e-6)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, np.nan])
def test_confidence_outside_its_range_is_refused(confidence):
    with pytest.raises(ValueError, match=rf"^confidence must lie in \(0, 1\), got {confidence}$"):
        wilson_interval(np.array(1), np.array(2), confidence=confidence)
