"""Confidence intervals against SciPy."""

from functools import cache, partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from fjdl.metrics.uncertainty import beta, bootstrap, intervals

pytestmark = pytest.mark.fuzz
MANY = settings(max_examples=2000, deadline=None, derandomize=True)
CONFIDENCE = st.sampled_from([0.001, 0.5, 0.95, 0.999999])


@st.composite
def proportions(draw):
    """A few successes, a few failures, or any share, out of one to ten million."""
    count = draw(st.one_of(st.integers(1, 30), st.integers(1, 10**7)))
    few = draw(st.integers(0, min(count, 5)))
    return draw(st.sampled_from([few, count - few, draw(st.integers(0, count))])), count


@cache
def jitted(function, **options):
    return jax.jit(partial(function, **options))


@MANY
@given(proportions(), CONFIDENCE)
def test_clopper_pearson(data, confidence):
    successes, count = data
    found = jitted(intervals.clopper_pearson_interval, confidence=confidence)(np.array(successes), np.array(count))
    tail, failures = (1 - confidence) / 2, count - successes
    low = scipy.stats.beta.ppf(tail, successes, failures + 1) if successes else 0
    high = scipy.stats.beta.isf(tail, successes + 1, failures) if failures else 1
    np.testing.assert_allclose(found, [low, high], rtol=1e-5)
    misses = [1 - np.float64(x) for x in found]
    np.testing.assert_allclose(misses, [1 - low, 1 - high], rtol=1e-5, atol=1e-7)


@MANY
@given(proportions(), CONFIDENCE)
def test_wilson(data, confidence):
    successes, count = data
    found = jitted(intervals.wilson_interval, confidence=confidence)(np.array(successes), np.array(count))
    expected = scipy.stats.binomtest(successes, count).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(found, expected, rtol=5e-6)


@MANY
@given(proportions(), CONFIDENCE)
def test_normal_approximations(data, confidence):
    successes, count = data
    z = scipy.stats.norm.isf((1 - confidence) / 2)
    for function, s, n in (
        (intervals.wald_interval, successes, count),
        (intervals.agresti_coull_interval, successes + z**2 / 2, count + z**2),
    ):
        reach = z * np.sqrt(s / n * (n - s) / n / n)
        found = jitted(function, confidence=confidence)(np.array(successes), np.array(count))
        np.testing.assert_allclose(found, np.clip([s / n - reach, s / n + reach], 0, 1), rtol=5e-6, atol=2e-7)


@MANY
@given(st.floats(1, 1e6), st.floats(1, 1e6), st.sampled_from([1e-6, 0.1, 0.5, 0.99]))
def test_beta_quantiles(a, b, probability):
    a, b = np.float32(a), np.float32(b)
    x, y = jitted(beta.beta_quantile, probability=probability)(np.array(a), np.array(b))
    expected = scipy.stats.beta.ppf(probability, np.float64(a), np.float64(b))
    other = scipy.stats.beta.isf(probability, np.float64(b), np.float64(a))
    for found, exact in ((x, expected), (y, other)):
        np.testing.assert_allclose(found, exact, rtol=1e-5)


@MANY
@given(arrays(np.float32, 6, elements=st.integers(-3, 3).map(float)), st.sampled_from(["percentile", "basic", "bca"]))
def test_bootstrap(x, method):
    key = jax.random.key(1)
    low, high = jitted(bootstrap.bootstrap_interval, method=method, resamples=40, confidence=0.8)(key, _sum, x)
    found = jitted(bootstrap.bootstrap_distribution, resamples=40)(key, _sum, x)
    if np.ptp(x) == 0 or np.mean(found < x.sum()) + np.mean(found <= x.sum()) in (0, 2):
        return
    expected = scipy.stats.bootstrap(
        (x.astype(np.float64),), np.sum, n_resamples=0, confidence_level=0.8, method=method,
        bootstrap_result=SimpleNamespace(bootstrap_distribution=np.asarray(found, np.float64)),
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose([low, high], [expected.low, expected.high], rtol=1e-4, atol=1e-4)


@jax.tree_util.Partial
def _sum(x):
    return jnp.sum(x)
