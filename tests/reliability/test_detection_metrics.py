"""Faults of scores of detections in other libraries, by their numbers in docs/faults.md."""

import jax
import numpy as np
import pytest

from fjdl import metrics

BOX, OTHER = np.float64([[0, 0, 10, 10]]), np.float64([[20, 0, 30, 10]])


def found(boxes, *scores, label=0):
    return [{"boxes": np.concatenate(boxes), "scores": np.float64(scores), "labels": np.full(len(scores), label)}]


def there(*boxes, **more):
    return [{"boxes": np.concatenate(boxes), "labels": np.zeros(len(boxes), int), **more}]


NOTHING = [{"boxes": np.zeros((0, 4)), "scores": np.zeros(0), "labels": np.zeros(0, int)}]


def test_r47_the_second_detection_of_an_object_is_wrong():
    for evaluate in (
        metrics.voc_evaluation,
        lambda *scenes: metrics.coco_class_precision(metrics.coco_evaluation(*scenes)),
    ):
        alone, twice = (
            evaluate(found(boxes, *scores), there(BOX, OTHER))
            for boxes, scores in (([BOX, OTHER], (0.9, 0.7)), ([BOX, BOX, OTHER], (0.9, 0.8, 0.7)))
        )
        alone, twice = (getattr(x, "all_points", x)[0] for x in (alone, twice))
        assert alone == 1
        assert twice == pytest.approx(0.5 + 0.5 * 2 / 3, abs=0.01)


def test_r47_a_difficult_object_is_neither_found_nor_missed():
    truth = there(BOX, OTHER, difficult=np.array([False, True]))
    for detections in (found([BOX], 0.5), found([OTHER, BOX], 0.9, 0.5), found([OTHER, OTHER, BOX], 0.9, 0.8, 0.5)):
        assert metrics.voc_evaluation(detections, truth).all_points[0] == 1


def test_r47_boxes_whose_pixels_are_counted_give_the_overlap_of_the_development_kit():
    """Sides of 10 and 11 pixels, counted from 1 to the last one included: 100/110 there, and here from xmin - 1."""
    guess, truth = np.float64([[1, 1, 10, 10]]), np.float64([[1, 1, 11, 10]])
    less = np.float64([1, 1, 0, 0])
    for threshold, right in ((100 / 110, 1), (100 / 110 + 1e-9, 0)):
        scenes = found([guess - less], 0.5), there(truth - less)
        assert metrics.voc_evaluation(*scenes, iou_threshold=threshold).all_points[0] == right


def test_r48_without_objects_a_class_is_left_out_and_without_detections_it_is_zero():
    truth = [{"boxes": np.concatenate([BOX, BOX]), "labels": np.array([0, 1])}]
    evaluation = metrics.coco_evaluation(found([BOX], 0.5), truth, classes=3)
    np.testing.assert_array_equal(metrics.coco_class_precision(evaluation), [1, 0, -1])
    assert metrics.coco_summary(evaluation).ap == 0.5
    np.testing.assert_array_equal(
        metrics.voc_evaluation(found([BOX], 0.5), truth, classes=3).all_points, [1, 0, np.nan]
    )
    assert metrics.coco_summary(metrics.coco_evaluation(NOTHING, there(BOX))).ap == 0
    assert metrics.coco_summary(metrics.coco_evaluation(found([BOX], 0.5), NOTHING)).ap == -1


@pytest.mark.by_day_on_pin(1)
def test_r48_boxes_of_large_images_and_empty_ones_keep_their_overlap():
    """Areas beyond 2³¹, of which a 32-bit integer would wrap; and a box without area."""
    large = 6e4 * BOX / 10
    assert metrics.coco_summary(metrics.coco_evaluation(found([large], 0.5), there(large))).ap_large == 1
    scenes = [{name: x[None] for name, x in scene[0].items()} for scene in (found([large], 0.5), there(large))]
    streamed = jax.jit(lambda *scenes: metrics.measure(metrics.coco_detection(1, capacity=2), *scenes))
    assert metrics.coco_summary(streamed(*scenes)).ap_large == 1
    point = np.float64([[5, 5, 5, 5]])
    assert metrics.coco_summary(metrics.coco_evaluation(found([point], 0.5), there(point))).ap == 0
