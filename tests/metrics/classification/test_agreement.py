import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl.metrics.classification import agreement

RARE = np.array([[10**9, 20], [10, 30]])


def of_pairs(function, matrix, **options):
    rows, columns = np.indices(matrix.shape).reshape(2, -1)
    return function(rows, columns, sample_weight=np.ravel(matrix).astype(float), **options)


def test_rare_classes_keep_their_digits_in_float32():
    assert agreement.matthews_correlation(RARE) == pytest.approx(of_pairs(sk.matthews_corrcoef, RARE), rel=1e-5)
    assert agreement.cohen_kappa(RARE) == pytest.approx(of_pairs(sk.cohen_kappa_score, RARE), rel=1e-5)


def test_large_counts_do_not_overflow():
    matrix = np.float32([[3e18, 1e18], [2e18, 5e18]])
    assert agreement.matthews_correlation(matrix) == pytest.approx(of_pairs(sk.matthews_corrcoef, matrix), rel=1e-5)


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_kappa_of_many_ordered_classes_equals_scikit_learn(rng, weights):
    matrix = rng.integers(0, 5, (40, 40)) + 50 * np.eye(40, dtype=int)
    expected = of_pairs(sk.cohen_kappa_score, matrix, weights=weights)
    assert agreement.cohen_kappa(matrix, weights=weights) == pytest.approx(expected, rel=1e-5)
