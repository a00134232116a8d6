"""Ranking metrics against scikit-learn: ties, weights, absent classes, hostile floats."""

import warnings
from functools import cache, partial

import jax
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from fjdl.metrics import base
from fjdl.metrics.ranking import areas, curves, delong, score_store
from fjdl.metrics.ranking.interpolated_precision import all_point_average_precision

pytestmark = pytest.mark.fuzz
SIZES = st.sampled_from([1, 2, 9])
MANY = settings(max_examples=2000, deadline=None, derandomize=True)
SCORE = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 0.5, -1.0, 1e-45, -1e-45, 3.4e38, -3.4e38]), st.floats(-1, 1, width=32),
    st.integers(-2, 2).map(float),
)  # fmt: skip
WEIGHT = st.sampled_from([0.0, 0.25, 1.0, 3.0, 1e-3, 100.0])


@cache
def jitted(function, **options):
    return jax.jit(partial(function, **options))


@st.composite
def binary(draw):
    n = draw(SIZES)
    weights = draw(st.none() | arrays(np.float32, n, elements=WEIGHT) | arrays(bool, n))
    return draw(arrays(np.int32, n, elements=st.integers(0, 1))), draw(arrays(np.float32, n, elements=SCORE)), weights


@st.composite
def several(draw):
    """Labels of three classes, of which some may be absent, and tied probabilities."""
    counts = draw(arrays(np.int32, (9, 3), elements=st.integers(0, 3)))
    x = (counts + 1) / (counts + 1).sum(1, keepdims=True)
    mask = draw(st.none() | arrays(bool, 9))
    return draw(arrays(np.int32, 9, elements=st.integers(0, 2))), x.astype(np.float32), mask


def quiet(function, *arrays, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arrays, **options)


def counted(y, x, w):
    """What counts of the examples; scikit-learn refuses to have none."""
    return (y, x, None) if w is None else (y[w != 0], x[w != 0], w[w != 0].astype(np.float64))


def mean_or_nan(values):
    return np.mean(values) if values else np.nan


@MANY
@given(binary())
def test_binary_scores(data):
    y, x, w = data
    ours = [jitted(f)(y, x, sample_weight=w) for f in (areas.roc_auc_score, areas.average_precision_score)]
    y, x, w = counted(y, x, w)
    expected = sk.roc_auc_score(y, x, sample_weight=w) if len(set(y)) == 2 else np.nan
    np.testing.assert_allclose(ours[0], expected, rtol=2e-6, atol=1e-7)
    expected = sk.average_precision_score(y, x, sample_weight=w) if np.any(y) else np.nan
    np.testing.assert_allclose(ours[1], expected, rtol=2e-6, atol=1e-7)


@MANY
@given(binary())
def test_curves(data):
    y, x, w = data
    roc = curves.drop_repeated(jitted(curves.roc_curve)(y, x, sample_weight=w))
    precision_recall = curves.drop_repeated(jitted(curves.precision_recall_curve)(y, x, sample_weight=w))
    y, x, w = counted(y, x, w)
    if not len(y):
        assert np.all(np.isnan(roc.tpr))
        return
    expected = quiet(sk.roc_curve, y, x, sample_weight=w, drop_intermediate=False)
    for a, b in zip(roc, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7)
    expected = quiet(sk.precision_recall_curve, y, x, sample_weight=w)
    np.testing.assert_allclose(precision_recall.precision, expected[0], rtol=2e-6)
    np.testing.assert_array_equal(precision_recall.thresholds, expected[2])
    np.testing.assert_allclose(precision_recall.recall, expected[1] if np.any(y) else expected[1] * np.nan, rtol=2e-6)


@MANY
@given(several(), st.sampled_from(["macro", "weighted", "micro"]))
def test_classes_against_the_rest(data, average):
    y, x, w = data
    found = jitted(areas.roc_auc_score, average=average)(y, x, sample_weight=w)
    precisions = jitted(areas.average_precision_score, average=average)(y, x, sample_weight=w)
    y, x, _ = counted(y, x, w)
    present = np.unique(y)
    if average == "micro":
        truth = np.eye(3)[y].ravel()
        expected = [f(truth, x.ravel()) if len(y) else np.nan for f in (sk.roc_auc_score, sk.average_precision_score)]
    else:
        share = np.bincount(y, minlength=3) if average == "weighted" else np.ones(3)
        each = [sk.roc_auc_score(y == c, x[:, c]) for c in present] if len(present) > 1 else []
        expected = [np.average(each, weights=share[present]) if each else np.nan]
        each = [sk.average_precision_score(y == c, x[:, c]) for c in present]
        expected.append(np.average(each, weights=share[present]) if each else np.nan)
    np.testing.assert_allclose([found, precisions], expected, rtol=2e-6)


@MANY
@given(several(), st.sampled_from(["macro", "weighted"]))
def test_classes_against_each_other(data, average):
    y, x, w = data
    found = jitted(areas.roc_auc_score, multi_class="ovo", average=average)(y, x, sample_weight=w)
    y, x, _ = counted(y, x, w)
    if len(set(y)) == 3:
        expected = sk.roc_auc_score(y, x, multi_class="ovo", average=average)
    elif len(set(y)) == 2:
        a, b = np.unique(y)
        expected = (sk.roc_auc_score(y == a, x[:, a]) + sk.roc_auc_score(y == b, x[:, b])) / 2
    else:
        expected = np.nan
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@MANY
@given(binary(), st.integers(0, 9))
def test_streams(data, cut):
    y, x, w = data
    metric = _stream()
    first = np.arange(len(y)) < cut
    weights = np.ones(len(y), bool) if w is None else w != 0
    parts = [jitted(metric.update)(metric.init(), x, y, weights=weights & part) for part in (~first, first)]
    found = jitted(metric.compute)(jitted(metric.merge)(*parts))
    expected = jitted(areas.average_precision_score)(y, x, sample_weight=weights)
    np.testing.assert_array_equal(found, expected)


@cache
def _stream():
    return score_store.collected(areas.average_precision_score, capacity=9)


@cache
def _histogram():
    return jax.jit(partial(base.measure, score_store.score_histogram(np.array([-0.5, 0.0, 0.5], np.float32))))


@MANY
@given(binary())
def test_bins_are_within_their_bounds(data):
    y, x, w = data
    histogram = _histogram()(x, y, weights=w)
    found = [jitted(f)(histogram) for f in (score_store.roc_auc_from, score_store.average_precision_from)]
    weights = np.ones(len(y), np.float32) if w is None else w.astype(np.float32)
    least = np.min(weights, where=weights > 0, initial=1)
    bounds = [
        jitted(score_store.roc_auc_error_from)(histogram),
        jitted(score_store.average_precision_error_from)(histogram, least_weight=least),
    ]
    for i, score in enumerate((areas.roc_auc_score, areas.average_precision_score)):
        exact = jitted(score)(y, x, sample_weight=weights)
        assert np.isnan(exact) == np.isnan(found[i]) == np.isnan(bounds[i])
        assert np.isnan(exact) or abs(exact - found[i]) <= bounds[i] + 1e-6


@MANY
@given(binary())
def test_variance_of_the_area(data):
    y, x, _ = data
    areas, covariance = jitted(delong.delong_covariance)(y, x[:, None])
    if min(y.sum(), (1 - y).sum()) < 2:
        assert np.isnan(covariance[0, 0])
        return
    wins = (x[y == 1][:, None] > x[y == 0]) + (x[y == 1][:, None] == x[y == 0]) / 2
    p, n = wins.shape
    expected = wins.mean(1).var(ddof=1) / p + wins.mean(0).var(ddof=1) / n
    np.testing.assert_allclose(areas[0], wins.mean(), rtol=2e-6)
    np.testing.assert_allclose(covariance[0, 0], expected, rtol=2e-5, atol=1e-7)


@MANY
@given(binary())
def test_the_envelope_is_nowhere_below_the_step_sum(data):
    y, x, _ = data
    curve = jitted(curves.precision_recall_curve)(y, x)
    found = jitted(all_point_average_precision)(np.flip(curve.recall[:-1]), np.flip(curve.precision[:-1]))
    exact = jitted(areas.average_precision_score)(y, x)
    assert np.isnan(found) == np.isnan(exact)
    assert np.isnan(found) or exact - 1e-6 <= found <= 1 + 1e-6
