"""Rows of fjdl.metrics for detections."""

from typing import Any

import numpy as np

from fjdl import metrics
from tests.cases.case import Case, f32, inputs, uniform


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


NONE = np.full((10, 101, 1, 4, 3), -1, np.float32)

CASES: list[Case] = [
    Case(
        summary, inputs(precisions, curves(2)), result="same", label="coco_summary", oracle=summary_by_hand,
        edges=(((NONE, NONE[:, 0]), [-1] * 12),),
        errors=(((NONE[:, :, :, :3], NONE[:, 0]), "evaluation must be at COCO's 10 IoUs"),),
    ),
    Case(
        class_precision, inputs(precisions, curves(2)), result="same", label="coco_class_precision",
        oracle=lambda precision, recall: by_class(precision), edges=(((NONE, NONE[:, 0]), f32(-1)),),
    ),
    Case(
        class_recall, inputs(uniform(1, 1, 1, 1, 1), curves(2)), result="same", label="coco_class_recall",
        oracle=lambda precision, recall: by_class(recall), edges=(((NONE, NONE[:, 0]), f32(-1)),),
    ),
]  # fmt: skip
