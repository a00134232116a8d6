import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from fjdl.metrics.base import measure, then
from fjdl.metrics.segmentation import overlap
from fjdl.metrics.segmentation.overlap import mean_iou, segmentation_matrix
from fjdl.metrics.state import counts


def test_batches_of_images_give_the_scores_of_all_pixels_and_not_their_mean():
    metric = then(segmentation_matrix(2), mean_iou)
    large, small = (np.array([[0, 0, 0, 1]]), np.array([[0, 0, 0, 0]])), (np.array([[1]]), np.array([[1]]))
    state = metric.update(metric.update(metric.init(), *large[::-1]), *small)
    both = sklearn.metrics.jaccard_score([0, 0, 0, 1, 1], [0, 0, 0, 0, 1], average="macro")
    means = [measure(metric, *large[::-1]), measure(metric, *small)]
    assert metric.compute(state) == pytest.approx(both)
    assert np.mean(means) != pytest.approx(both)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int8])
def test_ignored_pixels_never_count_whatever_is_predicted_there(dtype):
    labels, predictions = np.array([0, 1, -1, -1]).astype(dtype), np.array([0, 0, 1, -1]).astype(dtype)
    ignored = 255 if dtype == np.uint8 else -1
    matrix = measure(segmentation_matrix(2, ignore_label=ignored), predictions, labels)
    np.testing.assert_array_equal(matrix, [[1, 0], [1, 0]])


def test_an_ignored_label_may_be_one_of_the_classes():
    matrix = measure(segmentation_matrix(3, ignore_label=0), np.array([1, 1, 0]), np.array([0, 1, 2]))
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [0, 1, 0], [1, 0, 0]])


def test_no_ignored_label_leaves_every_class_in_and_outsiders_out():
    matrix = measure(segmentation_matrix(2), np.array([0, 1, 1]), np.array([0, 1, 255]))
    np.testing.assert_array_equal(matrix, np.eye(2))


def test_weights_leave_out_images_or_pixels():
    labels = predictions = np.array([[0, 1], [1, 1]])
    per_image = measure(segmentation_matrix(2), predictions, labels, weights=np.array([0, 1]))
    per_pixel = measure(segmentation_matrix(2), predictions, labels, weights=np.array([[1, 0], [0, 1]]))
    np.testing.assert_array_equal(per_image, [[0, 0], [0, 2]])
    np.testing.assert_array_equal(per_pixel, np.eye(2))


def test_pixels_beyond_two_to_the_31_count_exactly():
    metric = then(segmentation_matrix(2), mean_iou)
    cells = jnp.array([[2**31 + 2**24, 1], [0, 2**24 + 1]], jnp.uint32)
    state = metric.merge(
        metric.init()._replace(counted=counts.of(cells)),
        metric.update(metric.init(), np.array([0, 1, 1]), np.array([0, 0, 1])),
    )
    np.testing.assert_array_equal(state.counted.low, [[2**31 + 2**24 + 1, 2], [0, 2**24 + 2]])
    expected = ((2**31 + 2**24 + 1) / (2**31 + 2**24 + 3) + (2**24 + 2) / (2**24 + 4)) / 2
    assert jax.jit(metric.compute)(state) == pytest.approx(expected, rel=1e-7)


def test_a_class_beside_one_a_billion_times_as_large_keeps_its_digits():
    matrix = np.float32([[4e9, 1], [2, 3]])
    np.testing.assert_allclose(overlap.iou(matrix), [4e9 / (4e9 + 3), 3 / 6], rtol=1e-7)


def test_all_pixels_ignored_have_no_score():
    everything = np.full((2, 3), 255)
    for score in (overlap.pixel_accuracy, mean_iou, overlap.frequency_weighted_iou):
        assert np.isnan(measure(then(segmentation_matrix(3, ignore_label=255), score), everything, everything))
