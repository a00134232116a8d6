"""Rows of fjdl.metrics for detections."""

from typing import Any

import numpy as np

from fjdl import metrics
from tests.cases.case import Case, f32, i32, inputs, labels, uniform
from tests.metrics.detection.scenes import of_pycocotools, of_the_development_kit

NAN = np.nan


def evaluation(precision: Any, recall: Any) -> metrics.CocoEvaluation:
    return metrics.CocoEvaluation(precision, recall, precision)


def summary(precision: Any, recall: Any) -> metrics.CocoSummary:
    return metrics.coco_summary(evaluation(precision, recall))


def class_precision(precision: Any, recall: Any) -> Any:
    return metrics.coco_class_precision(evaluation(precision, recall))


def class_recall(precision: Any, recall: Any) -> Any:
    return metrics.coco_class_recall(evaluation(precision, recall))


def mean_of_defined(x: Any) -> Any:
    return np.mean(x[x > -1]) if (x > -1).any() else -1


def summary_by_hand(precision: Any, recall: Any) -> list[Any]:
    areas = [mean_of_defined(precision[..., area, 2]) for area in range(4)]
    ious = [mean_of_defined(precision[place, ..., 0, 2]) for place in (0, 5)]
    numbers = [mean_of_defined(recall[..., 0, number]) for number in range(3)]
    return [areas[0], *ious, *areas[1:], *numbers, *[mean_of_defined(recall[..., area, 2]) for area in (1, 2, 3)]]


def by_class(x: Any) -> Any:
    return np.array([mean_of_defined(x[..., label, 0, -1]) for label in range(x.shape[-3])])


def curves(classes: int) -> Any:
    """Precisions and recalls of which some classes have none in some areas."""

    def draw(rng: np.random.Generator) -> Any:
        recall = rng.uniform(size=(10, classes, 4, 3)).astype(np.float32)
        recall[:, rng.random((classes, 4)) < 0.3] = -1
        return recall

    return draw


def precisions(rng: np.random.Generator) -> Any:
    return np.stack([curves(2)(rng)] * 101, axis=1)


def detected(metric: Any) -> Any:
    """The metric of one batch as a function of arrays, its detections and objects of one class by the other."""

    def call(boxes: Any, scores: Any, labels: Any, true_boxes: Any, true_labels: Any) -> Any:
        found = {"boxes": boxes, "scores": scores, "labels": labels}
        return metrics.measure(metric, found, {"boxes": true_boxes, "labels": true_labels})

    return call


def boxes(*shape: int) -> Any:
    """Boxes in whole pixels, which bfloat16 holds."""

    def draw(rng: np.random.Generator) -> Any:
        low, size = rng.integers(0, 4, (*shape, 2)), rng.integers(4, 9, (*shape, 2))
        return np.concatenate([low, low + size], -1).astype(np.float32)

    return draw


def scores(rng: np.random.Generator) -> Any:
    return (rng.integers(0, 4, (2, 5)) / 4).astype(np.float32)


def of_pycocotools_by_arrays(found: Any, scores: Any, labels: Any, true_boxes: Any, true_labels: Any) -> Any:
    names = "boxes", "scores", "labels"
    detections = [dict(zip(names, entry, strict=True)) for entry in zip(found, scores, labels, strict=True)]
    rest = {"crowd": np.zeros(3, bool), "difficult": np.zeros(3, bool)}
    sides = true_boxes[..., 2:] - true_boxes[..., :2]
    objects = [
        {"boxes": b, "labels": y, "area": a, **rest}
        for b, y, a in zip(true_boxes, true_labels, sides.prod(-1), strict=True)
    ]
    return detections, objects


def coco_by_pycocotools(*arrays: Any) -> Any:
    theirs = of_pycocotools(*of_pycocotools_by_arrays(*arrays), 2).eval
    return theirs["precision"], theirs["recall"], theirs["scores"]


def voc_by_hand(*arrays: Any) -> Any:
    detections, objects = of_pycocotools_by_arrays(*arrays)
    area, mean = zip(*[of_the_development_kit(detections, objects, label)[2:] for label in (0, 1)], strict=True)
    return np.array(area), np.array(mean), np.nanmean(area), np.nanmean(mean)


batch = inputs(boxes(2, 5), scores, labels(2, 5, classes=2), boxes(2, 3), labels(2, 3, classes=2))
NO_OBJECT = (f32([[0, 0, 2, 2]])[None][:, :, 0], f32([0.5]), i32([0]), f32([]).reshape(1, 0, 4), i32([]).reshape(1, 0))
NONE = np.full((10, 101, 1, 4, 3), -1, np.float32)

CASES: list[Case] = [
    Case(
        detected(metrics.coco_detection(2, capacity=10)), batch, result="float32", label="coco_detection",
        oracle=coco_by_pycocotools,
    ),
    Case(
        detected(metrics.voc_detection(2, capacity=10)), batch, result="float32", label="voc_detection",
        oracle=voc_by_hand, edges=((NO_OBJECT, [f32(NAN, NAN), f32(NAN, NAN), NAN, NAN]),),
    ),
    Case(
        summary, inputs(precisions, curves(2)), result="float32", label="coco_summary", oracle=summary_by_hand,
        edges=(((NONE, NONE[:, 0]), [-1] * 12),),
        errors=(((NONE[:, :, :, :3], NONE[:, 0]), "evaluation must be at COCO's 10 IoUs"),),
    ),
    Case(
        class_precision, inputs(precisions, curves(2)), result="float32", label="coco_class_precision",
        oracle=lambda precision, recall: by_class(precision), edges=(((NONE, NONE[:, 0]), f32(-1)),),
    ),
    Case(
        class_recall, inputs(uniform(1, 1, 1, 1, 1), curves(2)), result="float32", label="coco_class_recall",
        oracle=lambda precision, recall: by_class(recall), edges=(((NONE, NONE[:, 0]), f32(-1)),),
    ),
]  # fmt: skip
