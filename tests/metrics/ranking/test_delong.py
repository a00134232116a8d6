import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk

from fjdl.metrics.ranking import delong
from tests.support import float64


def by_pairs(y, *scores):
    """Areas and covariance from every pair of a positive and a negative (DeLong et al. 1988, eq. 2 to 6)."""
    wins = [np.sign(x[y == 1][:, None] - x[y != 1][None]) / 2 + 0.5 for x in scores]
    s10, s01 = np.cov([w.mean(1) for w in wins]), np.cov([w.mean(0) for w in wins])
    return np.array([w.mean() for w in wins]), np.atleast_2d(s10 / wins[0].shape[0] + s01 / wins[0].shape[1])


def tied(rng, size=60):
    y = rng.permutation(np.arange(size) % 3 == 0).astype(int)
    return y, [np.round(rng.standard_normal(size) + y * shift, 1) for shift in (0.5, 1.5)]


def test_covariance_equals_that_of_every_pair(rng):
    y, scores = tied(rng)
    areas, expected = by_pairs(y, *scores)
    with float64():
        found = delong.delong_covariance(y, np.stack(scores, axis=1))
    np.testing.assert_allclose(found[0], areas, rtol=1e-13)
    np.testing.assert_allclose(found[0], [sk.roc_auc_score(y, x) for x in scores], rtol=1e-13)
    np.testing.assert_allclose(found[1], expected, rtol=1e-12)


def test_interval_is_normal_with_that_variance(rng):
    y, scores = tied(rng)
    areas, covariance = by_pairs(y, scores[0])
    expected = scipy.stats.norm(areas[0], np.sqrt(covariance[0, 0])).interval(0.9)
    found = delong.delong_interval(y, scores[0].astype(np.float32), confidence=0.9)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_comparison_equals_that_of_every_pair(rng):
    y, scores = tied(rng)
    areas, v = by_pairs(y, *scores)
    z = (areas[0] - areas[1]) / np.sqrt(v[0, 0] + v[1, 1] - 2 * v[0, 1])
    with float64():
        found = delong.delong_test(y, *scores)
        np.testing.assert_allclose(found, [z, 2 * scipy.stats.norm.sf(abs(z))], rtol=1e-10)
        swapped = delong.delong_test(y, *scores[::-1])
    np.testing.assert_allclose(swapped, [-found[0], found[1]], rtol=1e-12)


def test_only_the_score_with_a_nan_has_no_variance():
    scores = np.array([[1, 2, 3, 4], [1, np.nan, 3, 4]], np.float32).T
    areas, covariance = delong.delong_covariance(np.array([False, True, False, True]), scores)
    np.testing.assert_array_equal(np.isnan(areas), [False, True])
    np.testing.assert_array_equal(np.isnan(covariance), [[False, True], [True, True]])


def test_confidence_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"^confidence must lie in \(0, 1\), got 95$"):
        delong.delong_interval(np.array([0, 1]), np.zeros(2, np.float32), confidence=95)
