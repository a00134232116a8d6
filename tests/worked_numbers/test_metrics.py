"""The tables of the notes and every score of them."""

import numpy as np
import pytest

from fjdl import metrics
from fjdl.metrics.classification import agreement, confusion_table, rates

BINARY = np.array([[35, 10], [25, 80]])  # negatives first
PRINTED = np.array([[30, 20, 10], [50, 60, 10], [20, 20, 80]])  # rows are predictions
THREE = PRINTED.T
OTHER = np.array([[21, 2, 7], [10, 11, 9], [3, 1, 26]])


def examples(matrix):
    """Labels and predictions with this confusion matrix."""
    rows, columns = np.indices(matrix.shape).reshape(2, -1)
    return np.repeat(rows, matrix.ravel()), np.repeat(columns, matrix.ravel())


def test_w14_precision_of_the_binary_table():
    np.testing.assert_allclose(rates.precision(BINARY)[1], 80 / 90, rtol=1e-6)


def test_w15_recall_of_the_binary_table():
    np.testing.assert_allclose(rates.recall(BINARY)[1], 80 / 105, rtol=1e-6)


def test_w16_accuracy_of_the_binary_table():
    np.testing.assert_allclose(rates.accuracy_from(BINARY), 0.7666667, rtol=1e-6)


def test_w17_f1_of_the_binary_table():
    np.testing.assert_allclose(rates.f1(BINARY)[1], 0.8205128, rtol=1e-6)


@pytest.mark.parametrize(
    ("score", "value"),
    [
        (lambda m: rates.specificity(m)[1], 0.7777778),
        (lambda m: rates.npv(m)[1], 0.5833333),
        (lambda m: rates.false_positive_rate(m)[1], 0.2222222),
        (agreement.balanced_accuracy, 0.7698413),
        (lambda m: rates.jaccard(m)[1], 0.6956522),
        (agreement.matthews_correlation, 0.5048268),
    ],
    ids=["specificity", "npv", "fpr", "balanced_accuracy", "iou", "mcc"],
)
def test_w18_other_scores_of_the_binary_table(score, value):
    np.testing.assert_allclose(score(BINARY), value, rtol=2e-7)


def test_w19_totals_and_accuracy_of_the_three_class_table():
    matrix = confusion_table.confusion_table(*examples(THREE))
    np.testing.assert_array_equal(matrix, THREE)
    np.testing.assert_array_equal(matrix.sum(0), [60, 120, 120])
    np.testing.assert_array_equal(matrix.sum(1), [100, 100, 100])
    np.testing.assert_allclose(rates.accuracy_from(matrix), 170 / 300, rtol=1e-6)


@pytest.mark.parametrize(
    ("score", "matrix", "per_class", "micro", "macro"),
    [
        (rates.precision, THREE, [0.5, 0.5, 0.6666667], 0.5666667, 0.5555556),
        (rates.recall, THREE, [0.3, 0.6, 0.8], 0.5666667, 0.5666667),
        (rates.f1, THREE, [0.375, 0.5454545, 0.7272727], 0.5666667, 0.5492424),
        (rates.precision, OTHER, [0.6176471, 0.7857143, 0.6190476], 0.6444444, 0.6741363),
        (rates.recall, OTHER, [0.7, 0.3666667, 0.8666667], 0.6444444, 0.6444444),
        (rates.f1, OTHER, [0.65625, 0.5, 0.7222222], 0.6444444, 0.6261574),
    ],
    ids=["W20", "W21", "W22", "W23-precision", "W23-recall", "W23-f1"],
)
def test_w20_w21_w22_w23_scores_and_averages(score, matrix, per_class, micro, macro):
    np.testing.assert_allclose(score(matrix), per_class, rtol=2e-7)
    np.testing.assert_allclose(metrics.micro(score, matrix), micro, rtol=2e-7)
    np.testing.assert_allclose(metrics.macro(score, matrix), macro, rtol=2e-7)
    np.testing.assert_allclose(metrics.weighted(score, matrix), macro, rtol=2e-7)  # as many examples of each class


@pytest.mark.parametrize(("matrix", "value"), [(THREE, 0.3923993), (OTHER, 0.4623076)], ids=["W22", "W23"])
def test_w22_w23_mean_intersection_over_union(matrix, value):
    np.testing.assert_allclose(metrics.macro(rates.jaccard, matrix), value, rtol=2e-7)


def test_w23_a_diagonal_matrix_is_perfect():
    perfect = np.diag([30, 30, 30])
    assert rates.accuracy_from(perfect) == 1
    for score in (rates.precision, rates.recall, rates.f1, rates.jaccard):
        np.testing.assert_array_equal(score(perfect), np.ones(3))
    np.testing.assert_allclose(agreement.matthews_correlation(perfect), 1, rtol=1e-6)
    assert agreement.cohen_kappa(perfect) == 1


def test_e28_sensitivity_is_recall_and_ppv_is_precision():
    assert rates.sensitivity is rates.recall
    assert rates.ppv is rates.precision


def test_e40_accuracy_is_115_of_150_and_not_0_7():
    np.testing.assert_allclose(rates.accuracy_from(BINARY), (80 + 35) / 150, rtol=1e-6)
    assert abs(float(rates.accuracy_from(BINARY)) - 0.7) > 0.06


def test_e44_rows_are_labels_and_the_printed_table_has_to_be_transposed():
    np.testing.assert_array_equal(
        confusion_table.confusion_table(np.array([0, 0, 1]), np.array([0, 1, 1])), [[1, 1], [0, 1]]
    )
    np.testing.assert_allclose(rates.precision(PRINTED.T), np.diag(PRINTED) / PRINTED.sum(1), rtol=1e-6)
    np.testing.assert_allclose(rates.recall(PRINTED.T), np.diag(PRINTED) / PRINTED.sum(0), rtol=1e-6)


def test_e105_f1_is_not_twice_itself():
    tp, fn, fp = 80, 25, 10
    np.testing.assert_allclose(rates.f1(BINARY)[1], tp / (tp + (fn + fp) / 2), rtol=1e-6)
    assert rates.f1(BINARY)[1] < 2 * tp / (tp + (fn + fp) / 2) / 1.9
