import numpy as np
import pytest

from fjdl import metrics
from tests.metrics.detection.scenes import CLASSES, of_the_development_kit, random_scenes

BOX, OTHER = np.float64([[0, 0, 10, 10]]), np.float64([[20, 0, 30, 10]])


@pytest.mark.parametrize("threshold", [0.5, 0.75])
def test_random_scenes_score_as_in_the_development_kit(threshold):
    for seed in range(30):
        detections, truth = random_scenes(seed)
        ours = metrics.voc_evaluation(detections, truth, classes=CLASSES, iou_threshold=threshold)
        curves = metrics.voc_curves(detections, truth, classes=CLASSES, iou_threshold=threshold)
        theirs = [of_the_development_kit(detections, truth, label, threshold) for label in range(CLASSES)]
        for label, (recall, precision, area, mean) in enumerate(theirs):
            np.testing.assert_allclose(curves[label].recall, recall, rtol=1e-12)
            np.testing.assert_allclose(curves[label].precision, precision, rtol=1e-12)
            np.testing.assert_allclose([ours.all_points[label], ours.eleven_points[label]], [area, mean], rtol=1e-12)
        if any(not np.isnan(row[2]) for row in theirs):
            assert ours.mean_all_points == pytest.approx(np.nanmean([row[2] for row in theirs]))
            assert ours.mean_eleven_points == pytest.approx(np.nanmean([row[3] for row in theirs]))


def scored(boxes, *scores):
    return [{"boxes": np.concatenate(boxes), "scores": np.float64(scores), "labels": np.zeros(len(scores), int)}]


def test_a_second_detection_of_an_object_is_wrong_and_one_of_a_difficult_object_nothing():
    truth = [{"boxes": np.concatenate([BOX, OTHER]), "labels": [0, 0], "difficult": [False, True]}]
    (curve,) = metrics.voc_curves(scored([OTHER, OTHER, BOX, BOX], 0.9, 0.8, 0.7, 0.6), truth)
    np.testing.assert_array_equal(curve.recall, [0, 0, 1, 1])
    np.testing.assert_array_equal(curve.precision, [0, 0, 1, 0.5])
    np.testing.assert_array_equal(curve.scores, [0.9, 0.8, 0.7, 0.6])


def test_classes_without_objects_are_nan_and_left_out_of_the_mean():
    truth = [{"boxes": BOX, "labels": [1], "difficult": [False]}]
    ours = metrics.voc_evaluation(scored([BOX], 0.5), truth, classes=3)
    np.testing.assert_array_equal(ours.all_points, [np.nan, 0, np.nan])
    assert (ours.mean_all_points, ours.mean_eleven_points) == (0, 0)
    for nothing in (metrics.voc_evaluation([], [], classes=2), metrics.voc_evaluation([], [])):
        assert np.isnan(nothing.all_points).all()
        assert np.isnan([nothing.mean_all_points, nothing.mean_eleven_points]).all()


def test_a_score_that_is_nan_makes_everything_nan():
    ours = metrics.voc_evaluation(scored([BOX, OTHER], 0.5, np.nan), [{"boxes": BOX, "labels": [0]}])
    assert np.isnan([ours.all_points[0], ours.eleven_points[0], ours.mean_all_points]).all()


def test_a_threshold_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"^iou_threshold must lie in \(0, 1\], got 0$"):
        metrics.voc_evaluation([], [], iou_threshold=0)
