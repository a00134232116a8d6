import numpy as np
import pytest

from fjdl.metrics.base import measure
from fjdl.metrics.segmentation import boundary

SQUARE = np.zeros((9, 9), bool)
SQUARE[1:8, 1:8] = True


@pytest.mark.parametrize(("width", "pixels"), [(1, 49 - 25), (2, 49 - 9), (3, 49 - 1), (4, 49), (50, 49)])
def test_the_band_of_a_square_is_a_frame(width, pixels):
    band = boundary.boundary_band(SQUARE, width=width)
    assert np.sum(band) == pixels
    assert not np.any(band & ~SQUARE)


def test_the_edge_of_the_image_is_a_boundary():
    band = boundary.boundary_band(np.ones((4, 5), bool), width=1)
    np.testing.assert_array_equal(band, np.pad(np.zeros((2, 3), bool), 1, constant_values=True))


def test_corners_are_as_near_as_their_larger_distance():
    mask = np.ones((7, 7), bool)
    mask[3, 3] = False
    band = boundary.boundary_band(mask, width=2)
    assert band[1, 1]
    assert band[2, 2]


def test_a_shift_costs_boundary_iou_more_than_iou():
    shifted = np.roll(SQUARE, 1, axis=1)
    value = boundary.boundary_iou(SQUARE, shifted, width=1)
    assert value == pytest.approx(12 / 36)  # two rows of 6 each are shared, of frames of 24
    assert value < np.sum(SQUARE & shifted) / np.sum(SQUARE | shifted)


def test_masks_end_at_ignored_pixels_on_both_sides():
    labels = np.ones((1, 1, 8), int)
    labels[..., 3:5] = 255
    metric = boundary.class_boundary_iou(2, width=1, ignore_label=255)
    np.testing.assert_array_equal(measure(metric, np.ones((1, 1, 8), int), labels), [np.nan, 1])


def test_images_are_pooled_before_the_division_and_weights_leave_some_out():
    labels, predictions = np.zeros((3, 1, 4), int), np.zeros((3, 1, 4), int)
    predictions[1, 0, :3] = 1
    predictions[2] = 1
    metric = boundary.class_boundary_iou(2, width=1)
    state = metric.update(metric.init(), predictions[:1], labels[:1])
    state = metric.merge(state, metric.update(metric.init(), predictions[1:], labels[1:], weights=np.array([1, 0])))
    np.testing.assert_allclose(metric.compute(state), [5 / 8, 0])


def test_no_classes_and_no_width_are_refused():
    with pytest.raises(ValueError, match=r"^classes must be at least 1, got 0$"):
        boundary.class_boundary_iou(0, width=1)
    with pytest.raises(ValueError, match=r"^width must be at least 1, got 0$"):
        boundary.class_boundary_iou(2, width=0)
    with pytest.raises(ValueError, match=r"^width must be at least 1, got 0$"):
        boundary.boundary_band(SQUARE, width=0)
