from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fjdl.metrics.ranking import areas
from fjdl.metrics.uncertainty import bootstrap
from tests.support import float64

KEY = jax.random.key(0)


def ratio(x, y):
    return jnp.mean(x) / jnp.mean(y)


METHODS = ("percentile", "basic", "bca")


@jax.jit
def traced(x, y):
    options = {"resamples": 200, "confidence": 0.9}
    intervals = [bootstrap.bootstrap_interval(KEY, ratio, x, y, method=method, **options) for method in METHODS]
    return intervals, bootstrap.bootstrap_distribution(KEY, ratio, x, y, resamples=200, batch_size=7)


def all_methods(x, y):
    """The interval of each method and the resamples, in double precision."""
    with float64():
        return jax.tree.map(np.asarray, traced(x, y))


@pytest.mark.by_day_on_pin(1)
def test_intervals_equal_those_of_scipy_from_the_same_resamples(rng):
    x, y = rng.exponential(1, 25), rng.uniform(1, 2, 25)
    intervals, found = all_methods(x, y)
    for method, (low, high) in zip(METHODS, intervals, strict=True):
        expected = scipy.stats.bootstrap(
            (x, y), lambda x, y: x.mean() / y.mean(), paired=True, vectorized=False, n_resamples=0,
            confidence_level=0.9, method=method, bootstrap_result=SimpleNamespace(bootstrap_distribution=found),
        ).confidence_interval  # fmt: skip
        np.testing.assert_allclose([low, high], [expected.low, expected.high], rtol=1e-9)


def test_resamples_take_the_same_examples_of_every_array_with_replacement(rng):
    x = rng.uniform(1, 2, 25)
    np.testing.assert_allclose(all_methods(x, x)[1], 1, rtol=1e-12)
    means = all_methods(x, np.ones(25))[1]
    np.testing.assert_allclose(np.mean(means), x.mean(), rtol=0.02)
    np.testing.assert_allclose(np.var(means), x.var() / 25, rtol=0.4)


def test_a_constant_statistic_is_a_point():
    assert all_methods(np.ones(25), np.ones(25))[0] == [(1, 1)] * 3


def test_a_resample_without_a_class_makes_the_interval_nan_and_not_wrong():
    y, x = np.array([0, 0, 1]), np.array([1, 2, 3], np.float32)
    low, high = bootstrap.bootstrap_interval(KEY, areas.roc_auc_score, y, x, resamples=32, method="percentile")
    assert np.isnan(low)
    assert np.isnan(high)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"confidence": 1.0}, r"^confidence must lie in \(0, 1\), got 1.0$"),
        ({"method": "BCa"}, "^method must be 'percentile', 'basic' or 'bca', got 'BCa'$"),
        ({"resamples": 0}, "^resamples must be at least 1, got 0$"),
    ],
)
def test_options_outside_their_range_are_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        bootstrap.bootstrap_interval(KEY, jnp.mean, np.ones(2, np.float32), **options)


def test_no_examples_are_refused():
    with pytest.raises(ValueError, match=r"^arrays must hold at least one example"):
        bootstrap.bootstrap_interval(KEY, jnp.mean, np.ones(0, np.float32))
