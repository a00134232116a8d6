"""Scores of real predictions against scikit-learn and SciPy, at once and in batches: ties, offsets and far scales."""

import warnings

import jax
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings, strategies as st

from fjdl.metrics.regression import (
    correlation,
    scores as regression,
    streaming,
)
from tests.support import float64

pytestmark = pytest.mark.fuzz

many = settings(max_examples=1000, deadline=None, derandomize=True)
SCORES = (
    "mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error",
    "r2_score", "explained_variance_score",
)  # fmt: skip
STREAMS = (
    streaming.mse(), streaming.rmse(), streaming.mae(), streaming.mape(), correlation.r2(),
    correlation.explained_variance(), correlation.pearson(), streaming.largest_error(),
)  # fmt: skip

# Quarters, so that a constant has a mean without rounding in scikit-learn too; the whole is shifted and scaled.
quarters = st.integers(-8, 8).map(lambda k: k / 4)
rows = st.sampled_from([1, 2, 5])


@st.composite
def data(draw, size, low, high):
    """Targets and predictions `[n, 2]`, scaled by a power of two, and a weight per row."""
    n = draw(size)
    columns = st.lists(quarters, min_size=2 * n, max_size=2 * n)
    offset, exponent = draw(st.sampled_from([0, 3, 2**16])), draw(st.integers(low, high))
    scale = 2.0**exponent
    y_true, y_pred = (np.array(draw(columns)).reshape(n, 2) * scale + offset * scale for _ in range(2))
    y_pred = draw(st.sampled_from([y_pred, y_true, y_true + 0.25 * scale]))
    return y_true, y_pred, np.array(draw(st.lists(st.sampled_from([0, 0.25, 1, 3]), min_size=n, max_size=n)))


@jax.jit
def all_scores(y_true, y_pred, weights):
    return [
        getattr(regression, name)(y_true, y_pred, sample_weight=weights, multioutput=average)
        for name in SCORES
        for average in ("raw_values", "uniform_average")
    ] + [
        getattr(regression, name)(y_true, y_pred, sample_weight=weights, multioutput="variance_weighted")
        for name in SCORES[-2:]
    ]


@jax.jit
def unweighted(y_true, y_pred):
    return regression.pearson_correlation(y_true, y_pred), regression.max_error(y_true[:, 0], y_pred[:, 0])


@jax.jit
def streamed(y_true, y_pred, part):
    """Each metric after four updates, merged two and two; the rows of part -1 never count."""
    results = []
    for metric in STREAMS:
        a, b, c, d = (metric.update(metric.init(), y_pred[:, 0], y_true[:, 0], weights=part == i) for i in range(4))
        results.append(metric.compute(metric.merge(metric.merge(a, b), metric.merge(c, d))))
    return results


def sklearn_scores(y_true, y_pred, weights):
    def score(name, average):
        function = getattr(sklearn.metrics, name)
        return function(y_true, y_pred, sample_weight=weights, multioutput=average)

    pairs = [(name, average) for name in SCORES for average in ("raw_values", "uniform_average")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [score(*pair) for pair in [*pairs, *((name, "variance_weighted") for name in SCORES[-2:])]]


def assert_scores_equal(ours, theirs, bound, smallest=0.0):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=bound, atol=smallest)


@many
@given(data(rows, -300, 300))
def test_scores_equal_scikit_learn_in_float64(arrays):
    if not arrays[2].any():
        return  # scikit-learn divides by zero there, ours is NaN
    with float64():
        ours = all_scores(*arrays)
    theirs = sklearn_scores(*arrays)
    assert_scores_equal(ours[:8], theirs[:8], 1e-12)
    assert_scores_equal(ours[8:], theirs[8:], 1e-12, 1e-12)


@many
@given(data(rows, -30, 30))
def test_scores_equal_scikit_learn_in_float32(arrays):
    if not arrays[2].any():
        return
    ours, theirs = all_scores(*(x.astype(np.float32) for x in arrays)), sklearn_scores(*arrays)
    assert_scores_equal(ours[:8], theirs[:8], 1e-5)
    assert_scores_equal(ours[8:], theirs[8:], 1e-5, 2e-6)


@many
@given(data(st.sampled_from([2, 5]), -300, 300))
def test_correlation_and_largest_error_equal_scipy_and_scikit_learn(arrays):
    y_true, y_pred, _ = arrays
    with float64():
        correlation, largest = unweighted(y_true, y_pred)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = scipy.stats.pearsonr(y_true, y_pred)[0]
    np.testing.assert_allclose(correlation, expected, rtol=1e-12, atol=1e-14)
    assert float(largest) == sklearn.metrics.max_error(y_true[:, 0], y_pred[:, 0])


@many
@given(data(st.just(5), -20, 20), st.lists(st.integers(-1, 3), min_size=5, max_size=5).map(np.array))
def test_batches_merge_to_the_scores_of_all_rows(arrays, part):
    y_true, y_pred, _ = arrays
    ours = streamed(y_true.astype(np.float32), y_pred.astype(np.float32), part)
    a, b = y_true[part >= 0, 0], y_pred[part >= 0, 0]
    if not len(a):
        assert all(np.isnan(x) for x in ours)
        return
    theirs = sklearn_scores(a, b, np.ones(len(a)))[1::2][:6]
    assert_scores_equal(ours[:4], theirs[:4], 1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs += [scipy.stats.pearsonr(a, b)[0] if len(a) > 1 else np.nan, sklearn.metrics.max_error(a, b)]
    assert_scores_equal(ours[4:], theirs[4:], 1e-5, 3e-6)
