import numpy as np
import pytest

from fjdl import metrics
from fjdl.metrics.detection import coco
from tests.metrics.detection.scenes import CLASSES, of_pycocotools, padded, random_scenes

BOX = np.float64([[0, 0, 10, 10]])


def found(*rows):
    boxes, scores, labels = zip(*rows, strict=True)
    return {"boxes": np.float64(boxes), "scores": np.float64(scores), "labels": np.array(labels)}


def there(*rows, **more):
    boxes, labels = zip(*rows, strict=True)
    return {"boxes": np.float64(boxes), "labels": np.array(labels), **more}


NOTHING = {"boxes": np.zeros((0, 4)), "scores": np.zeros(0), "labels": np.zeros(0, int)}


def assert_equal_to_pycocotools(seeds):
    for seed in seeds:
        detections, truth = random_scenes(seed)
        theirs, ours = of_pycocotools(detections, truth), metrics.coco_evaluation(detections, truth, classes=CLASSES)
        for name in ("precision", "recall", "scores"):
            np.testing.assert_allclose(getattr(ours, name), theirs.eval[name], rtol=0, atol=1e-9, err_msg=f"{seed}")
        np.testing.assert_allclose(metrics.coco_summary(ours), theirs.stats, rtol=0, atol=1e-9, err_msg=f"{seed}")


def test_random_scenes_score_as_in_pycocotools():
    assert_equal_to_pycocotools(range(20))


@pytest.mark.slow
def test_a_thousand_random_scenes_score_as_in_pycocotools():
    assert_equal_to_pycocotools(range(1000, 2000))


def test_padded_arrays_of_all_images_are_the_same_data_set():
    detections, truth = random_scenes(3)
    expected = metrics.coco_evaluation(detections, truth, classes=CLASSES)
    ours = metrics.coco_evaluation(padded(detections, 9), padded(truth, 7), classes=CLASSES)
    valid = metrics.coco_evaluation(padded(detections[:1], 9), padded(truth[:1], 7), classes=CLASSES)
    first = metrics.coco_evaluation(detections[:1], truth[:1], classes=CLASSES)
    for a, b in ((ours, expected), (valid, first)):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


def test_classes_are_the_labels_that_occur_where_none_are_given():
    evaluation = metrics.coco_evaluation([found((BOX[0], 0.5, 7))], [there((BOX[0], 3), (BOX[0], 7))])
    np.testing.assert_array_equal(metrics.coco_class_precision(evaluation), [0, 1])
    np.testing.assert_array_equal(metrics.coco_class_recall(evaluation), [0, 1])


def test_a_class_without_objects_is_minus_one_and_left_out_of_the_mean():
    evaluation = metrics.coco_evaluation([found((BOX[0], 0.9, 0), (BOX[0], 0.8, 2))], [there((BOX[0], 0))], classes=3)
    np.testing.assert_array_equal(metrics.coco_class_precision(evaluation), [1, -1, -1])
    assert metrics.coco_summary(evaluation).ap == 1
    assert metrics.coco_summary(evaluation).ap_medium == -1


def test_labels_outside_of_the_classes_count_nowhere():
    rows = (BOX[0], 0.9, -1), (BOX[0], 0.8, 5), (BOX[0], 0.7, 0)
    truth = [there((BOX[0], 0), (BOX[0], 5), (BOX[0], -1))]
    assert metrics.coco_summary(metrics.coco_evaluation([found(*rows)], truth, classes=1)).ap == 1


def test_images_without_detections_and_without_objects_count():
    truth = [there((BOX[0], 0)), there((BOX[0], 0)), {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int)}]
    summary = metrics.coco_summary(metrics.coco_evaluation([found((BOX[0], 0.9, 0)), NOTHING, NOTHING], truth))
    assert summary.ar_100 == 0.5
    assert summary.ap == pytest.approx(51 / 101)
    extra = found((BOX[0], 0.95, 0))
    assert metrics.coco_summary(metrics.coco_evaluation([found((BOX[0], 0.9, 0)), NOTHING, extra], truth)).ap < 0.3


def test_nothing_at_all_is_minus_one_everywhere():
    for classes in (None, 2):
        np.testing.assert_array_equal(metrics.coco_summary(metrics.coco_evaluation([], [], classes=classes)), -1)
        evaluation = metrics.coco_evaluation([NOTHING], [{"boxes": [], "labels": []}], classes=classes)
        np.testing.assert_array_equal(metrics.coco_summary(evaluation), -1)


def test_a_crowd_takes_many_detections_and_none_of_them_counts():
    crowd = there((BOX[0], 0), ([20, 20, 30, 30], 0), crowd=np.array([True, False]))
    inside = found(([1, 1, 5, 5], 0.9, 0), ([2, 2, 5, 5], 0.8, 0), ([20, 20, 30, 30], 0.7, 0))
    assert metrics.coco_summary(metrics.coco_evaluation([inside], [crowd])).ap == 1


def test_a_recall_that_is_reached_exactly_may_lie_below_that_of_numpy():
    """`linspace` gives 0.35000000000000003, which 35 of 100 objects do not reach; pycocotools compares with it."""
    truth = [there(*[([20 * i, 0, 20 * i + 10, 10], 0) for i in range(100)])]
    boxes = found(*[([20 * i, 0, 20 * i + 10, 10], 1 - i / 100, 0) for i in range(35)])
    curve = metrics.coco_evaluation([boxes], truth).precision[0, :, 0, 0, 2]
    assert (curve[34], curve[35]) == (1, 0)


def test_other_thresholds_and_numbers_of_detections():
    detections, truth = random_scenes(5)
    all_of_them = metrics.coco_evaluation(detections, truth, classes=CLASSES)
    one = metrics.coco_evaluation(detections, truth, classes=CLASSES, iou_thresholds=(0.75,), max_detections=(10,))
    np.testing.assert_array_equal(one.precision[0, ..., 0], all_of_them.precision[5, ..., 1])
    with pytest.raises(ValueError, match=r"^evaluation must be at COCO's 10 IoUs, 4 areas and 3 numbers, got 1, 4 and"):
        metrics.coco_summary(one)


def test_a_score_that_is_nan_makes_everything_nan():
    truth = [there((BOX[0], 0))]
    for rows in ((BOX[0], np.nan, 0), (BOX[0], 0.9, 0)), ((BOX[0], np.nan, 0),):
        assert np.isnan(metrics.coco_summary(metrics.coco_evaluation([found(*rows)], truth))).all()


def test_a_box_with_nan_or_without_area_finds_nothing():
    truth = [there((BOX[0], 0))]
    for box in ([np.nan, 0, 10, 10], [0, 0, 0, 10], [10, 10, 0, 0]):
        summary = metrics.coco_summary(metrics.coco_evaluation([found((box, 0.9, 0), (BOX[0], 0.8, 0))], truth))
        assert summary.ap == 0.5


@pytest.mark.parametrize(
    ("detections", "truth", "options", "rule"),
    [
        ([NOTHING], [], {}, r"^detections and truth must be of as many images, got 1 and 0$"),
        ([{"boxes": BOX, "scores": [1.0]}], [NOTHING], {}, r"^boxes must have labels beside them, got none$"),
        (
            [{**NOTHING, "scores": [1.0]}],
            [NOTHING],
            {},
            r"^scores must have the shape \(0,\), as boxes have, got \(1,\)",
        ),
        ([NOTHING], [{**NOTHING, "iscrowd": []}], {}, r"^the key of crowd must be 'crowd', got 'iscrowd'$"),
        ([{"scores": []}], [NOTHING], {}, r"^detections and truth must have the key 'boxes', got \['scores'\]$"),
        ([NOTHING], [[1.0]], {}, r"^each image must be a mapping or a named tuple, got list$"),
        (3, [], {}, r"^detections and truth must be mappings, or sequences of them, got int$"),
        ({"boxes": BOX}, [], {}, r"^boxes of all images must have the shape \[images, boxes, 4\], got \(1, 4\)$"),
        ([{**NOTHING, "labels": np.zeros(0)}], [{**there((BOX[0], 0)), "labels": [0.5]}], {}, r"^labels must be integ"),
        ([], [], {"iou_thresholds": (0.0,)}, r"^iou_thresholds must lie in \(0, 1\], got \[0.0\]$"),
        ([], [], {"max_detections": (0, 1)}, r"^max_detections must be at least 1, got \[0, 1\]$"),
    ],
)
def test_what_does_not_fit_is_refused(detections, truth, options, rule):
    with pytest.raises(ValueError, match=rule):
        metrics.coco_evaluation(detections, truth, **options)


def test_the_mean_of_what_is_defined():
    np.testing.assert_array_equal(coco.defined_mean(np.array([[-1.0, 0.5], [-1.0, 1.0]]), axis=0), [-1, 0.75])
    assert np.isnan(coco.defined_mean(np.array([np.nan, -1.0])))
