"""Numbers of the notes on overlap, as metrics."""

import numpy as np
import pytest

from fjdl.metrics.base import measure, then
from fjdl.metrics.segmentation.overlap import dice_coefficient, iou, mean_iou, segmentation_matrix

THREE = np.array([[30, 50, 20], [20, 60, 20], [10, 10, 80]])  # the notes print it with predictions as rows
NINETY = np.array([[21, 2, 7], [10, 11, 9], [3, 1, 26]])


def binary(true_positives, positives, predicted):
    """The matrix of a class against the rest, whose pixels outside of both sides do not matter."""
    return np.array([[0, predicted - true_positives], [positives - true_positives, true_positives]])


def pixels(matrix):
    """Predictions and labels with this confusion matrix."""
    labels, predictions = (np.repeat(side, matrix.reshape(-1)) for side in np.indices(matrix.shape).reshape(2, -1))
    return predictions, labels


def test_w06_dice_of_the_first_class_is_944():
    assert dice_coefficient(binary(3400, 3500, 3700))[1] == pytest.approx(0.944444, abs=1e-6)


def test_w07_dice_of_the_second_class_is_625():
    assert dice_coefficient(binary(250, 500, 300))[1] == pytest.approx(0.625)


def test_w18_iou_of_the_table_is_6956522():
    assert iou(np.array([[35, 10], [25, 80]]))[1] == pytest.approx(0.6956522, abs=1e-7)


def test_w19_the_table_has_predictions_as_rows_and_is_turned():
    np.testing.assert_array_equal(measure(segmentation_matrix(3), *pixels(THREE)), THREE)
    np.testing.assert_array_equal(THREE.sum(axis=0), [60, 120, 120])


def test_w22_mean_iou_of_the_three_classes_is_3923993():
    streamed = measure(then(segmentation_matrix(3), mean_iou), *pixels(THREE))
    assert streamed == mean_iou(THREE) == pytest.approx(0.3923993, abs=1e-7)


def test_w23_mean_iou_of_the_second_table_is_4623076():
    streamed = measure(then(segmentation_matrix(3), mean_iou), *pixels(NINETY))
    assert streamed == mean_iou(NINETY) == pytest.approx(0.4623076, abs=1e-7)
