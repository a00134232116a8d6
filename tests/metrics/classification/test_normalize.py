from functools import partial

import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl import metrics
from fjdl.metrics import measure, then

Y, P, W = np.array([0, 1, 2, 2, 2, 0]), np.array([0, 0, 2, 2, 0, 0]), np.array([0.5, 1, 2, 0.25, 1, 3], np.float32)
SHARES = np.float32([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.25, 0.25, 0.5]] * 2)


@pytest.mark.parametrize("normalize", ["true", "pred", "all", None])
def test_matrices_are_divided_as_by_scikit_learn(normalize):
    expected = sk.confusion_matrix(Y, P, sample_weight=W, normalize=normalize)
    np.testing.assert_allclose(metrics.confusion_table(Y, P, sample_weight=W, normalize=normalize), expected, rtol=1e-6)
    if normalize:
        streamed = then(metrics.confusion_matrix(3), partial(metrics.normalized, normalize=normalize))
        np.testing.assert_allclose(measure(streamed, P, Y, weights=W), expected, rtol=1e-6)
        assert not metrics.normalized(np.zeros((2, 2), np.float32), normalize=normalize).any()


def test_another_way_is_refused():
    with pytest.raises(ValueError, match="normalize"):
        metrics.confusion_table(Y, P, normalize="rows")


@pytest.mark.parametrize("weights", [None, W, W > 0.5])
def test_sums_in_place_of_means_equal_scikit_learn(weights):
    """Scikit-learn takes the weights as floats: its sum of booleans, a product of booleans, is at most 1."""
    options = {"normalize": False, "sample_weight": weights}
    theirs = {"normalize": False, "sample_weight": None if weights is None else weights.astype(float)}
    for name in ("accuracy_score", "zero_one_loss"):
        expected = getattr(sk, name)(Y, P, **theirs)
        np.testing.assert_allclose(getattr(metrics, name)(Y, P, **options), expected, rtol=1e-6)
    expected = sk.log_loss(Y, SHARES.astype(np.float64), **theirs)
    np.testing.assert_allclose(metrics.log_loss(Y, SHARES, **options), expected, rtol=1e-6)


def test_nothing_sums_to_nothing():
    empty = np.zeros(0, int)
    assert metrics.accuracy_score(empty, empty, normalize=False) == 0
    assert np.isnan(metrics.accuracy_score(empty, empty))
