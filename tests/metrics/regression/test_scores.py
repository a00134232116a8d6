import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from fjdl.metrics.regression import scores as regression
from tests.support import float64

SCORES = [
    "mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error",
    "r2_score", "explained_variance_score",
]  # fmt: skip
NAN = np.nan


@pytest.mark.parametrize("name", SCORES)
def test_weights_and_averages_equal_scikit_learn(rng, name):
    y_true, y_pred, weights = rng.standard_normal((5, 3)), rng.standard_normal((5, 3)), np.array([1, 0, 2.5, 3, 0.5])
    ours, theirs = getattr(regression, name), getattr(sklearn.metrics, name)
    averages = ["uniform_average", "raw_values", np.array([1.0, 2, 0])]
    averages += ["variance_weighted"] * name.endswith("score")
    with float64():
        actual = jax.jit(lambda *a: [ours(*a[:2], sample_weight=a[2], multioutput=m) for m in averages])(
            y_true, y_pred, weights
        )
    for value, average in zip(actual, averages, strict=True):
        expected = theirs(y_true, y_pred, sample_weight=weights, multioutput=average)
        np.testing.assert_allclose(value, expected, rtol=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_rows_of_weight_zero_do_not_count_even_if_nan_and_no_weight_is_nan(name):
    score = getattr(regression, name)
    y_true, y_pred = np.float32([NAN, 1, 2, 4]), np.float32([3, 1, NAN, 5])
    expected = getattr(sklearn.metrics, name)([1, 4], [1, 5])
    np.testing.assert_allclose(score(y_true, y_pred, sample_weight=np.array([0, 1, 0, 1])), expected, rtol=1e-6)
    assert np.isnan(score(y_true, y_pred, sample_weight=np.zeros(4, bool)))


def test_integers_neither_wrap_nor_need_the_dtype_of_the_other():
    y_true, y_pred = np.uint8([0, 255]), np.uint8([255, 0])
    assert regression.mean_absolute_error(y_true, y_pred) == 255
    assert regression.max_error(y_true, y_pred) == 255
    assert regression.mean_squared_error(np.array([3, 4]), np.float32([1.5, 4])) == 1.125
    with float64():
        assert regression.difference(np.float32([1]), np.array([1e-12])).dtype == jnp.float64


def test_a_far_offset_costs_r2_and_correlation_no_digits_in_float32(rng):
    y_true = np.float32(1e4 + rng.standard_normal(1000))
    y_pred = np.float32(y_true + rng.standard_normal(1000))
    exact = y_true.astype(np.float64), y_pred.astype(np.float64)
    np.testing.assert_allclose(regression.r2_score(y_true, y_pred), sklearn.metrics.r2_score(*exact), atol=2e-6)
    correlation = regression.pearson_correlation(y_true, y_pred)
    np.testing.assert_allclose(correlation, scipy.stats.pearsonr(*exact)[0], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_far_scales_neither_overflow_nor_vanish(scale):
    y_true, y_pred = np.float32([1, 2, 4]) * np.float32(scale), np.float32([1, 3, 4]) * np.float32(scale)
    expected = sklearn.metrics.r2_score([1, 2, 4], [1, 3, 4])
    assert regression.r2_score(y_true, y_pred) == pytest.approx(expected, rel=1e-6)
    assert regression.root_mean_squared_error(y_true, y_pred) == pytest.approx(scale / np.sqrt(3), rel=1e-6)


def test_variance_weights_of_constant_outputs_are_equal():
    y_true, y_pred = np.ones((3, 2), np.float32), np.float32([[1, 2], [1, 1], [1, 1]])
    assert regression.r2_score(y_true, y_pred, multioutput="variance_weighted") == 0.5


def test_the_gradient_of_no_error_is_zero():
    zeros = jnp.zeros(3)
    for score in (regression.mean_absolute_error, regression.root_mean_squared_error, regression.max_error):
        np.testing.assert_array_equal(jax.grad(score, 1)(zeros, zeros), zeros)


def test_an_unknown_average_and_weights_of_another_length_are_refused():
    y = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match=r"^mean_squared_error: argument `multioutput` must be .*, got 'mean'$"):
        regression.mean_squared_error(y, y, multioutput="mean")
    with pytest.raises(ValueError, match=r"^r2_score: argument `sample_weight` must be "):
        regression.r2_score(y, y, sample_weight=np.ones(2))
