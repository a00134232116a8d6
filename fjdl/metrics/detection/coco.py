"""COCO's scores of detections at once, on the host in double precision (Lin et al. 2014, arXiv:1405.0312)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fjdl.checks import at_least, within
from fjdl.metrics.detection.matching import FALSE, HIT, Sorted, greedy_outcomes, looked_for, sort_detections
from fjdl.metrics.detection.scenes import read_scenes
from fjdl.numerics import wide
from fjdl.typing import Array, Float, typed

IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
RECALLS = np.linspace(0, 1, 101)
AREAS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))  # all, small, medium, large
MAX_DETECTIONS = (1, 10, 100)


class CocoEvaluation(NamedTuple):
    """What COCO's evaluation accumulates, at t IoUs, for k classes, a ranges of area and m numbers of detections.

    `precision[t, :, k, a, m]` is the precision-recall curve at the 101 recalls 0, 0.01, … 1: the highest precision at a
    recall of at least that, 0 where it is not reached. `scores` are the scores at these points, `recall` is the highest
    recall. All are -1 for a class without objects in the range.
    """

    precision: Any  # [t, 101, k, a, m]
    recall: Any  # [t, k, a, m]
    scores: Any  # [t, 101, k, a, m]


class CocoSummary(NamedTuple):
    """COCO's 12 numbers, in its order; each is a mean over the classes with objects, -1 where there are none.

    `ap` is the mean average precision at the IoUs 0.5, 0.55, … 0.95, `ap_50` and `ap_75` that at one of them; `small`
    are objects of an area up to 32², `medium` up to 96². `ar_1` is the mean highest recall with one detection of each
    class in an image.
    """

    ap: Any
    ap_50: Any
    ap_75: Any
    ap_small: Any
    ap_medium: Any
    ap_large: Any
    ar_1: Any
    ar_10: Any
    ar_100: Any
    ar_small: Any
    ar_medium: Any
    ar_large: Any


@typed
def coco_evaluation(
    detections: Any,
    truth: Any,
    *,
    classes: int | None = None,
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
    areas: Sequence[tuple[float, float]] = AREAS,
    max_detections: Sequence[int] = MAX_DETECTIONS,
) -> CocoEvaluation:
    """Precisions, recalls and scores of the detections of a whole data set, float64 of NumPy.

    `detections` has an entry for each image, a mapping or a `boxes.Detections`, with `boxes [d, 4]` in corner format,
    `scores [d]` and `labels [d]`; `truth` has one with `boxes [o, 4]` and `labels [o]`, and where there are such,
    `crowd [o]` and `area [o]`, else that of the box. Both may be padded arrays of all images instead, `[n, d, 4]` and
    so on, with `valid [n, d]`. Classes are 0 to `classes - 1`, or the labels that occur, in rising order.

    In each image and class the detections, highest score first, take the object of highest IoU that is free, the later
    one of equal ones; only where there is none, a crowd or one of an area outside of the range, and then the detection
    is ignored. A crowd is never used up, and its IoU is the share of the detection that lies in it. A detection that
    finds nothing and lies outside of the range is ignored too. Of equal scores the earlier image and detection comes
    first. A box with NaN overlaps nothing, and where a score is NaN everything is NaN.

    Equals `pycocotools.cocoeval.COCOeval(…, "bbox")` to rounding, its `eval` after `evaluate()` and `accumulate()`, for
    boxes that are not inverted. Raises `ValueError` for arrays that do not fit together.
    """
    within("(0, 1]", iou_thresholds=list(iou_thresholds))
    at_least(1, max_detections=list(max_detections))
    found, objects, names, images = read_scenes(detections, truth, classes, ignored="crowd")
    ranges, thresholds = np.asarray(areas, np.float64), np.asarray(iou_thresholds, np.float64)
    ordered = sort_detections(found, images=images, most=max(max_detections))
    outcomes = greedy_outcomes(ordered, objects, images=images, thresholds=thresholds, areas=ranges)
    wanted = np.zeros((len(names), len(ranges)), np.int64)
    np.add.at(wanted, objects.label, looked_for(objects, ranges))
    evaluation = _accumulated(ordered, outcomes, wanted, max_detections)
    unfit = np.isnan(found.score).any()
    return CocoEvaluation(*(np.full_like(x, np.nan) if unfit else x for x in evaluation))


@typed
def coco_summary(evaluation: CocoEvaluation) -> CocoSummary:
    """COCO's 12 numbers of an evaluation with its ten IoUs, four ranges of area and numbers 1, 10 and 100.

    They are float64 of an evaluation in float64, else float32. Equals `stats` of pycocotools' `COCOeval`.
    """
    t, _, _, a, m = evaluation.precision.shape
    if (t, a, m) != (10, 4, 3):
        raise ValueError(f"evaluation must be at COCO's 10 IoUs, 4 areas and 3 numbers, got {t}, {a} and {m}")
    return _summary(evaluation.precision, evaluation.recall)


@typed
def coco_class_precision(evaluation: CocoEvaluation) -> Float[Array, " k"]:
    """Average precision of each class over all IoUs, for the first range of area and the last number of detections.

    -1 for a class without objects. Its mean over the others is `ap` of `coco_summary`.
    """
    return _class_mean(evaluation.precision)


@typed
def coco_class_recall(evaluation: CocoEvaluation) -> Float[Array, " k"]:
    """Highest recall of each class, the mean over all IoUs, as in `coco_class_precision`; -1 without objects."""
    return _class_mean(evaluation.recall)


@typed
def defined_mean(values: Float[Array, "..."], *, axis: int | tuple[int, ...] | None = None) -> Any:
    """Mean of the values above -1, or -1 without one; a NaN makes it NaN. In NumPy for arrays of NumPy."""
    there, dtype = ~(values <= -1), wide(values.dtype)
    number = there.sum(axis=axis, dtype=dtype)
    none = (number == 0).astype(dtype)
    return values.sum(axis=axis, where=there, dtype=dtype) / (number + none) - none


@typed
def _summary(precision: Float[Array, "t 101 k a m"], recall: Float[Array, "t k a m"]) -> CocoSummary:
    of_areas = [defined_mean(precision[:, :, :, area, 2]) for area in range(4)]
    of_ious = [defined_mean(precision[place, :, :, 0, 2]) for place in (0, 5)]
    of_numbers = [defined_mean(recall[:, :, 0, number]) for number in range(3)]
    of_sizes = [defined_mean(recall[:, :, area, 2]) for area in (1, 2, 3)]
    return CocoSummary(of_areas[0], *of_ious, *of_areas[1:], *of_numbers, *of_sizes)


@typed
def _class_mean(values: Float[Array, "*points k a m"]) -> Float[Array, " k"]:
    return defined_mean(values[..., 0, -1], axis=tuple(range(values.ndim - 3)))


def _accumulated(
    ordered: Sorted, outcomes: np.ndarray, wanted: np.ndarray, max_detections: Sequence[int]
) -> CocoEvaluation:
    """The evaluation of sorted detections, their outcomes `[d, t, a]` and the number of objects `[k, a]`."""
    k, a = wanted.shape
    t, m = outcomes.shape[1], len(max_detections)
    evaluation = CocoEvaluation(-np.ones((t, 101, k, a, m)), -np.ones((t, k, a, m)), -np.ones((t, 101, k, a, m)))
    bounds = np.searchsorted(ordered.found.label, np.arange(k + 1))
    for label in np.flatnonzero(wanted.any(axis=1)):
        mine = slice(bounds[label], bounds[label + 1])
        order = np.argsort(-ordered.found.score[mine], kind="stable")
        rank, score, outcome = (x[mine][order] for x in (ordered.rank, ordered.found.score, outcomes))
        for number, most in enumerate(max_detections):
            kept = rank < most
            _write(evaluation, (int(label), number), score[kept], outcome[kept], wanted[label])
    return evaluation


def _write(
    evaluation: CocoEvaluation, place: tuple[int, int], score: np.ndarray, outcome: np.ndarray, wanted: np.ndarray
) -> None:
    """Writes the curves of one class, from its detections by falling score."""
    label, number = place
    found = np.cumsum(outcome == HIT, axis=0, dtype=np.int32)
    counted = found + np.cumsum(outcome == FALSE, axis=0, dtype=np.int32)
    precision = np.divide(found, counted, out=np.zeros(found.shape), where=counted > 0)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    for area in np.flatnonzero(wanted):
        needed = np.searchsorted(np.arange(wanted[area] + 1) / wanted[area], RECALLS)
        for t in range(outcome.shape[1]):
            first = np.searchsorted(found[:, t, area], needed)
            reached = first < len(score)
            at = first[reached]
            total = found[-1, t, area] if len(score) else 0
            evaluation.recall[t, label, area, number] = total / wanted[area]
            evaluation.precision[t, :, label, area, number] = _padded(highest[at, t, area], reached)
            evaluation.scores[t, :, label, area, number] = _padded(score[at], reached)


def _padded(values: np.ndarray, reached: np.ndarray) -> np.ndarray:
    row = np.zeros(len(reached))
    row[reached] = values
    return row
