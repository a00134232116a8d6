"""Ranking metrics where other implementations went wrong."""

import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl.metrics.ranking import areas, curves
from fjdl.metrics.ranking.interpolated_precision import (
    all_point_average_precision,
    coco_101_point_average_precision,
    voc_11_point_average_precision,
)

# Five detections of three objects, best first: right, wrong, right, wrong, wrong.
HITS = np.array([1, 0, 1, 0, 0])
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32)
RECALL = np.cumsum(HITS).astype(np.float32) / np.float32(3)
PRECISION = np.cumsum(HITS).astype(np.float32) / np.arange(1, 6, dtype=np.float32)


def test_r46_each_average_precision_is_a_function_of_its_own_with_its_own_number():
    np.testing.assert_allclose(areas.average_precision_score(HITS, SCORES), (1 + 2 / 3) / 2, rtol=1e-6)
    np.testing.assert_allclose(all_point_average_precision(RECALL, PRECISION), (1 + 2 / 3) / 3, rtol=1e-6)
    np.testing.assert_allclose(voc_11_point_average_precision(RECALL, PRECISION), (4 + 3 * 2 / 3) / 11, rtol=1e-6)
    expected = (34 + 33 * 2 / 3) / 101
    np.testing.assert_allclose(coco_101_point_average_precision(RECALL, PRECISION), expected, rtol=1e-6)


def test_r46_average_precision_is_the_step_sum_and_not_the_area_under_the_polyline():
    curve = curves.precision_recall_curve(HITS, SCORES)
    found = areas.average_precision_score(HITS, SCORES)
    np.testing.assert_allclose(found, sk.average_precision_score(HITS, SCORES), rtol=1e-6)
    assert abs(found - curves.auc(curve.recall, curve.precision)) > 0.04


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_r46_the_order_of_tied_examples_changes_nothing(order):
    y, x = np.array([1, 0, 1, 0])[order], np.array([2, 2, 1, 1], np.float32)[order]
    np.testing.assert_allclose(areas.average_precision_score(y, x), 0.5)
    np.testing.assert_allclose(areas.roc_auc_score(y, x), 0.5)


def test_r49_a_class_without_positives_or_negatives_is_nan_and_left_out_of_the_mean_and_counted():
    y = np.array([0, 1, 0, 1, 1, 0])
    x = np.array([[4, 1, 1], [1, 3, 2], [2, 2, 3], [3, 1, 4], [1, 2, 5], [2, 1, 6]], np.float32)
    found = np.asarray(areas.roc_auc_score(y, x, average=None))
    precisions = np.asarray(areas.average_precision_score(y, x, average=None))
    assert np.isnan(found).tolist() == np.isnan(precisions).tolist() == [False, False, True]
    for values, score in ((found, areas.roc_auc_score), (precisions, areas.average_precision_score)):
        mean, counted = areas.average_defined(values)
        assert counted == 2
        np.testing.assert_allclose(score(y, x), values[:2].mean(), rtol=1e-6)
        np.testing.assert_allclose(mean, values[:2].mean(), rtol=1e-6)
    np.testing.assert_allclose(found[:2], [sk.roc_auc_score(y == c, x[:, c]) for c in (0, 1)], rtol=1e-6)


def test_r49_one_class_alone_has_no_area():
    x = np.array([1, 2], np.float32)
    for y in (np.array([0, 0]), np.array([1, 1])):
        assert np.isnan(areas.roc_auc_score(y, x))
    assert np.isnan(areas.average_precision_score(np.array([0, 0]), x))
    assert areas.average_precision_score(np.array([1, 1]), x) == 1


def test_r50_equal_scores_have_area_one_half_and_the_precision_of_chance():
    x = np.full(6, 0.3, np.float32)
    y = np.array([1, 1, 0, 0, 0, 0])
    assert areas.roc_auc_score(y, x) == 0.5
    np.testing.assert_allclose(areas.average_precision_score(y, x), 1 / 3, rtol=1e-6)
    curve = curves.drop_repeated(curves.roc_curve(y, x))
    assert curve.fpr.tolist() == curve.tpr.tolist() == [0, 1]


def test_r50_a_nan_score_is_rejected_by_every_ranking_metric_and_harmless_where_it_does_not_count():
    y, x = np.array([0, 1, 1, 0]), np.array([0.1, np.nan, 0.8, 0.4], np.float32)
    here = np.array([True, False, True, True])
    for score in (areas.roc_auc_score, areas.average_precision_score):
        assert np.isnan(score(y, x))
        assert score(y, x, sample_weight=here) == 1
    for curve in (curves.roc_curve, curves.precision_recall_curve):
        assert np.all(np.isnan(curve(y, x)[0]))
        assert not np.any(np.isnan(curve(y, x, sample_weight=here)[0]))
    table = np.stack([x, 1 - x], axis=1)
    for average in ("macro", "micro", None):
        assert np.all(np.isnan(areas.roc_auc_score(y, table, average=average)))
