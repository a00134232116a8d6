import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import binom, binomtest

from fjdl.metrics.uncertainty.intervals import (
    agresti_coull_interval,
    clopper_pearson_interval,
    wald_interval,
    wilson_interval,
)
from tests.support import float64


@pytest.mark.by_day_on_pin(1)
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0.01, 0.999))
def test_wilson_interval_equals_scipy(count, fraction, confidence):
    successes = round(fraction * count)
    expected = binomtest(successes, count).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(np.array(successes), np.array(count), confidence=confidence)
    np.testing.assert_allclose([low, high], expected, rtol=5e-6)
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
    np.testing.assert_allclose(low[1], 1 - high[0], rtol=1e-6)


def test_a_rare_success_keeps_its_digits_in_float32():
    expected = binomtest(1, 10**7).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(np.array(1), np.array(10**7)), expected, rtol=1e-6)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, np.nan])
def test_confidence_outside_its_range_is_refused(confidence):
    with pytest.raises(ValueError, match=rf"^confidence must lie in \(0, 1\), got {confidence}$"):
        wilson_interval(np.array(1), np.array(2), confidence=confidence)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999999])
def test_clopper_pearson_interval_equals_scipy(confidence):
    successes, count = np.array([0, 1, 3, 5, 9, 10, 0, 999]), np.array([10, 10, 10, 10, 10, 10, 1, 10**6])
    tests = [binomtest(int(s), int(n)) for s, n in zip(successes, count, strict=True)]
    expected = np.array([test.proportion_ci(confidence, method="exact") for test in tests]).T
    found = clopper_pearson_interval(successes, count, confidence=confidence)
    np.testing.assert_allclose(found, expected, rtol=5e-6)
    assert (found[0][0], found[1][5]) == (0, 1)


def test_clopper_pearson_interval_covers_at_least_as_often_as_asked():
    low, high = clopper_pearson_interval(np.arange(11), np.full(11, 10))
    for probability in np.linspace(0.01, 0.99, 50):
        inside = (low <= probability) & (probability <= high)
        assert binom.pmf(np.arange(11), 10, probability)[inside].sum() >= 0.95 - 1e-6


def test_wald_and_agresti_coull_intervals_worked_by_hand():
    # 4 of 10 with z = 1: 0.4 ± √(0.24 / 10); and (4 + 1/2) / 11 ± √(p (1 - p) / 11).
    one = {"confidence": 0.6826894921370859}
    reach = np.sqrt(0.024)
    np.testing.assert_allclose(wald_interval(np.array(4), np.array(10), **one), [0.4 - reach, 0.4 + reach], rtol=1e-6)
    centre = 4.5 / 11
    reach = np.sqrt(centre * (1 - centre) / 11)
    found = agresti_coull_interval(np.array(4), np.array(10), **one)
    np.testing.assert_allclose(found, [centre - reach, centre + reach], rtol=1e-6)


def test_wald_is_a_point_at_the_ends_and_agresti_coull_contains_wilson():
    assert wald_interval(np.array([0, 7]), np.array([7, 7]))[0].tolist() == [0, 1]
    assert wald_interval(np.array([0, 7]), np.array([7, 7]))[1].tolist() == [0, 1]
    successes, count = np.arange(21), np.full(21, 20)
    inner, outer = wilson_interval(successes, count), agresti_coull_interval(successes, count)
    assert np.all(outer[0] <= inner[0] + 1e-6)
    assert np.all(inner[1] <= outer[1] + 1e-6)


@pytest.mark.parametrize("interval", [wald_interval, agresti_coull_interval, clopper_pearson_interval])
def test_every_interval_refuses_a_confidence_outside_its_range(interval):
    with pytest.raises(ValueError, match=r"^confidence must lie in \(0, 1\), got 95$"):
        interval(np.array(1), np.array(2), confidence=95)
