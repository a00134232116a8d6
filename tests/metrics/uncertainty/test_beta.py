import jax
import numpy as np
import pytest
import scipy.stats

from fjdl.metrics.uncertainty.beta import beta_quantile
from tests.support import float64

COUNT = np.array([2.0, 10, 1e3, 1e5, 1e7])
A = np.concatenate([np.ones(5), COUNT / 2, COUNT, np.round(COUNT * 0.97), np.full(5, 0.5)])
B = np.tile(COUNT, 5) + 1 - np.minimum(A, np.tile(COUNT, 5))
quantile = jax.jit(beta_quantile, static_argnames="probability")


def both(probability):
    return scipy.stats.beta.ppf(probability, A, B), scipy.stats.beta.isf(probability, B, A)


@pytest.mark.parametrize("probability", [1e-6, 0.025, 0.5, 0.9])
def test_both_ends_keep_their_digits_for_few_and_for_millions(probability):
    found = quantile(A.astype(np.float32), B.astype(np.float32), probability=probability)
    np.testing.assert_allclose(found, both(probability), rtol=1e-5)


def test_double_precision_equals_scipy():
    with float64():
        small = A + B < 1e6
        found = quantile(A[small], B[small], probability=0.025)
    np.testing.assert_allclose(found, np.array(both(0.025))[:, small], rtol=1e-12)


@pytest.mark.parametrize("probability", [0.0, 1.0, np.nan])
def test_probability_outside_its_range_is_refused(probability):
    with pytest.raises(ValueError, match=rf"^probability must lie in \(0, 1\), got {probability}$"):
        beta_quantile(np.ones(1), np.ones(1), probability=probability)
