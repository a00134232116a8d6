import contextlib
import io

import numpy as np
import pytest

from fjdl.metrics.ranking import interpolated_precision


def ranked(rng, found, false, objects):
    """Recall and precision after each detection of a random ranking."""
    hits = rng.permutation(np.arange(found + false) < found)
    true = np.cumsum(hits)
    return hits, (true / objects).astype(np.float32), (true / np.arange(1, len(hits) + 1)).astype(np.float32)


def coco(hits, objects):
    """The average precision that pycocotools finds for detections on their object or on nothing."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    boxes = [[20.0 * i, 0.0, 10.0, 10.0] for i in range(objects + len(hits))]
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": 1, "bbox": boxes[i], "area": 100.0, "iscrowd": 0}
            for i in range(objects)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        places = np.where(hits, np.cumsum(hits) - 1, objects + np.arange(len(hits)))
        found = truth.loadRes(
            [
                {"image_id": 1, "category_id": 1, "bbox": boxes[place], "score": 1 - i / 100}
                for i, place in enumerate(places)
            ]
        )
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][0, :, 0, 0, 2].mean()


@pytest.mark.parametrize(("found", "false", "objects"), [(7, 9, 11), (16, 4, 16), (1, 8, 3)])
def test_coco_equals_pycocotools(rng, found, false, objects):
    hits, recall, precision = ranked(rng, found, false, objects)
    ours = interpolated_precision.coco_101_point_average_precision(recall, precision)
    np.testing.assert_allclose(ours, coco(hits, objects), rtol=1e-6)


def test_all_points_of_a_ranking_worked_by_hand():
    # Hits at ranks 1, 3 and 4 of 5 for 4 objects: the envelope is 1, then 3/4 twice, then nothing.
    recall = np.array([1, 1, 2, 3, 3], np.float32) / 4
    precision = np.array([1, 1 / 2, 2 / 3, 3 / 4, 3 / 5], np.float32)
    np.testing.assert_allclose(
        interpolated_precision.all_point_average_precision(recall, precision), (1 + 2 * 0.75) / 4
    )
    eleven = (3 * 1 + 5 * 0.75) / 11
    np.testing.assert_allclose(
        interpolated_precision.voc_11_point_average_precision(recall, precision), eleven, rtol=1e-6
    )


def test_every_recall_that_is_a_whole_percentage_reaches_that_point():
    for objects in (10, 100):
        recall = np.arange(1, objects + 1, dtype=np.float32) / np.float32(objects)
        precision = np.linspace(1, 0.1, objects, dtype=np.float32)
        asked = [max(-(-i * objects // 100), 1) - 1 for i in range(101)]
        ours = interpolated_precision.coco_101_point_average_precision(recall, precision)
        np.testing.assert_allclose(ours, precision[asked].mean(), rtol=1e-6)


def test_points_may_come_in_any_order_or_twice(rng):
    _, recall, precision = ranked(rng, 7, 9, 11)
    order = rng.integers(0, 16, 40)
    order = np.concatenate([rng.permutation(16), order])
    for score in (
        interpolated_precision.voc_11_point_average_precision,
        interpolated_precision.coco_101_point_average_precision,
    ):
        np.testing.assert_allclose(score(recall[order], precision[order]), score(recall, precision), rtol=1e-6)
    twice = np.repeat(np.arange(16), 2)
    ours = interpolated_precision.all_point_average_precision(recall[twice], precision[twice])
    np.testing.assert_allclose(ours, interpolated_precision.all_point_average_precision(recall, precision), rtol=1e-6)
