"""Average precision of Pascal VOC at once, on the host in double precision (Everingham et al. 2010 and 2015)."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fjdl.checks import within
from fjdl.metrics.detection.matching import FALSE, HIT, IGNORED, Sorted, overlapping, sort_detections
from fjdl.metrics.detection.scenes import Objects, read_scenes
from fjdl.typing import typed


class DetectionCurve(NamedTuple):
    """Recall and precision of one class after each of its detections, from the highest score on."""

    recall: np.ndarray
    precision: np.ndarray
    scores: np.ndarray


class VocPrecision(NamedTuple):
    """Average precision of each class by both rules of Pascal VOC; NaN for one without objects to be found.

    `all_points` is the area under the highest precision at a recall of at least r, as from 2010 on; `eleven_points` its
    mean at the recalls 0, 0.1, … 1, as up to 2009. The means are over the other classes, NaN without one.
    """

    all_points: Any  # [k]
    eleven_points: Any  # [k]
    mean_all_points: Any
    mean_eleven_points: Any


@typed
def voc_evaluation(
    detections: Any, truth: Any, *, classes: int | None = None, iou_threshold: float = 0.5
) -> VocPrecision:
    """Average precisions of the detections of a whole data set, float64 of NumPy, as `coco_evaluation` takes them.

    Objects may be `difficult [o]`. Each detection, from the highest score on, belongs to the object of its class and
    image of highest IoU, the earlier one of equal ones. It is right where that IoU is at least `iou_threshold` and no
    detection before had the object; a difficult object counts neither for it nor against it. Of equal scores the
    earlier image and detection comes first. A score that is NaN makes everything NaN.

    Equals `VOCevaldet` of the development kit, which adds 1 to the sides of boxes in whole pixels: `x1 = xmax` and
    `x0 = xmin - 1`.

    >>> box = np.array([[0.0, 0.0, 4.0, 4.0]])
    >>> found = [{"boxes": box, "scores": np.array([0.9]), "labels": np.array([0])}]
    >>> voc_evaluation(found, [{"boxes": box, "labels": np.array([0])}]).all_points
    array([1.])
    """
    curves, wanted = _curves(detections, truth, classes, iou_threshold)
    scores = [np.array([score(curve) for curve in curves], np.float64) for score in (_area, _at_recalls)]
    means = [x[wanted > 0].mean() if (wanted > 0).any() else np.float64(np.nan) for x in scores]
    return VocPrecision(*(np.where(wanted > 0, x, np.nan) for x in scores), *means)


@typed
def voc_curves(
    detections: Any, truth: Any, *, classes: int | None = None, iou_threshold: float = 0.5
) -> list[DetectionCurve]:
    """Recall and precision of each class after each detection, float64 of NumPy, matched as in `voc_evaluation`.

    A difficult object's detection repeats the point before it. Without objects to be found the recall is NaN.
    """
    return _curves(detections, truth, classes, iou_threshold)[0]


@typed
def nearest_outcomes(ordered: Sorted, objects: Objects, *, images: int, threshold: float) -> np.ndarray:
    """Pascal VOC's outcome of each detection: `HIT`, `FALSE`, or `IGNORED` where it finds a difficult object."""
    pairs, objects = overlapping(ordered.found, objects, images=images, least=threshold, crowds=False)
    order = np.lexsort((-pairs.object, pairs.iou, pairs.detection))
    detection, chosen = pairs.detection[order], pairs.object[order]
    last = np.append(detection[1:] != detection[:-1], np.ones(min(len(detection), 1), bool))
    detection, chosen = detection[last], chosen[last]
    first = np.zeros(len(chosen), bool)
    first[np.unique(chosen, return_index=True)[1]] = True
    outcomes = np.full(len(ordered.rank), FALSE, np.uint8)
    outcomes[detection] = np.where(objects.ignored[chosen], IGNORED, np.where(first, HIT, FALSE))
    return outcomes


def _curves(
    detections: Any, truth: Any, classes: int | None, threshold: float
) -> tuple[list[DetectionCurve], np.ndarray]:
    """The curve of each class and the number of its objects, NaN where a score is."""
    within("(0, 1]", iou_threshold=threshold)
    found, objects, names, images = read_scenes(detections, truth, classes, ignored="difficult")
    ordered = sort_detections(found, images=images)
    outcomes = nearest_outcomes(ordered, objects, images=images, threshold=threshold)
    wanted = np.bincount(objects.label[~objects.ignored], minlength=len(names)).astype(np.float64)
    wanted[:] = np.nan if np.isnan(found.score).any() else wanted
    bounds = np.searchsorted(ordered.found.label, np.arange(len(names) + 1))
    parts = [slice(*pair) for pair in pairwise(bounds)]
    curves = [_curve(ordered.found.score[part], outcomes[part], wanted[label]) for label, part in enumerate(parts)]
    return curves, wanted


def _curve(scores: np.ndarray, outcomes: np.ndarray, wanted: float) -> DetectionCurve:
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(outcomes[order] == HIT)
    counted = found + np.cumsum(outcomes[order] == FALSE)
    recall = found / wanted if wanted else np.full(len(found), np.nan)
    return DetectionCurve(recall, found / np.maximum(counted, 1), scores[order])


def _area(curve: DetectionCurve) -> float:
    highest = np.maximum.accumulate(curve.precision[::-1])[::-1]
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * highest))


def _at_recalls(curve: DetectionCurve) -> float:
    reached = curve.recall >= np.arange(11)[:, None] / 10
    return float(np.where(reached, curve.precision, 0).max(axis=1, initial=0).mean())
