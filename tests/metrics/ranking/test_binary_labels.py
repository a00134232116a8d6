"""Labels of a binary score are one of three pairs, in every score that ranks; others never turn a value around."""

from functools import partial

import jax
import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl import metrics

SCORES = np.float32([0.1, 0.4, 0.2, 0.3])
EDGES = np.float32([0.15, 0.25, 0.35])


def streamed(labels, scores, *, metric):
    return metrics.measure(metric, scores, labels)


RANKING = {
    "roc_auc_score": metrics.roc_auc_score,
    "average_precision_score": metrics.average_precision_score,
    "roc_curve": metrics.roc_curve,
    "precision_recall_curve": metrics.precision_recall_curve,
    "delong_interval": metrics.delong_interval,
    "delong_test": lambda labels, scores: metrics.delong_test(labels, scores, scores[::-1].copy()),
    "delong_covariance": lambda labels, scores: metrics.delong_covariance(labels, scores[:, None]),
    "collected": partial(streamed, metric=metrics.collected(metrics.roc_auc_score, capacity=4)),
    "score_histogram": partial(streamed, metric=metrics.score_histogram(EDGES)),
    "calibration": partial(streamed, metric=metrics.calibration(2)),
}


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize(
    "labels", [[1, 2, 2, 1], [0, 2, 2, 0], [0, 255, 255, 0], [0, 1, 2, 0], [-1, 0, 1, 1], [-1, -1, 0, 0]]
)
def test_other_labels_are_refused(name, labels):
    labels = np.array(labels)
    shown = ", ".join(map(str, sorted(set(labels.tolist()))))
    with pytest.raises(ValueError, match=rf"must hold booleans, or 0 and 1, or -1 and 1, got {shown}$"):
        RANKING[name](labels, SCORES)


@pytest.mark.parametrize("name", RANKING)
def test_other_labels_give_nan_where_they_are_traced(name):
    traced = jax.jit(RANKING[name])
    for labels in ([1, 2, 2, 1], [-1, 0, 1, 1]):
        floats = [x for x in jax.tree.leaves(traced(np.array(labels), SCORES)) if x.dtype == np.float32]
        assert all(np.any(np.isnan(x)) for x in floats[:2])
    assert not np.isnan(jax.tree.leaves(traced(np.array([0, 1, 1, 0]), SCORES))[-1]).any()


@pytest.mark.parametrize("name", RANKING)
def test_the_three_pairs_give_one_result(name):
    labels = np.array([0, 1, 1, 0])
    expected = RANKING[name](labels, SCORES)
    for same in (labels == 1, 2 * labels - 1, labels.astype(np.uint8)):
        jax.tree.map(np.testing.assert_array_equal, RANKING[name](same, SCORES), expected)


def test_the_area_of_two_labels_is_that_of_scikit_learn():
    labels = np.array([1, 2, 2, 1])
    assert sk.roc_auc_score(labels, SCORES) == 0.75
    np.testing.assert_allclose(metrics.roc_auc_score(labels == 2, SCORES), 0.75)


def test_indicators_are_checked_alike_and_examples_that_do_not_count_are_not():
    indicators, scores = np.array([[1, 0], [0, 255], [1, 0]]), np.float32([[0.3, 0.2], [0.5, 0.5], [0.4, 0.1]])
    with pytest.raises(ValueError, match=r"^y_true must hold booleans, .* got 0, 1, 255$"):
        metrics.average_precision_score(indicators, scores)
    chosen = np.array([True, False, True])
    assert metrics.average_precision_score(indicators, scores, sample_weight=chosen, average=None)[0] == 1
    assert not np.isnan(metrics.roc_auc_score(np.array([0, 1, 255]), scores[:, 0], sample_weight=~chosen | [1, 1, 0]))


def test_255_of_eight_bits_is_no_minus_one():
    with pytest.raises(ValueError, match=r"got 1, 255$"):
        metrics.roc_auc_score(np.uint8([1, 255, 255, 1]), SCORES)
    assert np.isnan(jax.jit(metrics.roc_auc_score)(np.uint8([1, 255, 255, 1]), SCORES))


def test_thresholds_under_a_trace_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^thresholds must be concrete, .* got traced ones"):
        jax.jit(lambda edges: metrics.measure(metrics.score_histogram(edges), SCORES, np.array([0, 1, 1, 0])))(EDGES)
