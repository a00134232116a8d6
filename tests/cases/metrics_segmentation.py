"""Rows of fjdl.metrics for segmentations."""

from functools import partial
from typing import Any

import numpy as np
import scipy.ndimage
import sklearn.metrics as theirs

from fjdl.metrics.base import measure
from fjdl.metrics.segmentation import boundary, overlap, panoptic, surface
from tests.cases.case import Case, f32, i32, inputs, labels, uniform
from tests.metrics.segmentation.oracles import (
    boundary_f_by_hand,
    edge,
    hausdorff_of_scipy,
    panoptic_by_hand,
    percentile_of_surfaces,
)

NAN = np.nan
counts = inputs(uniform(3, 3, low=1.0, high=2.0))


def masks(*shape: int) -> Any:
    return lambda rng: rng.uniform(size=shape) < 0.6


def of_pairs(score: Any) -> Any:
    """A score of scikit-learn as a function of the confusion matrix: its cells are weights of the pairs."""

    def call(matrix: Any) -> Any:
        k = len(matrix)
        return score(*np.divmod(np.arange(k * k), k), sample_weight=np.asarray(matrix).reshape(-1))

    return call


def iou_by_hand(matrix: Any) -> Any:
    return np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix))


def bands(mask: Any) -> Any:
    """The pixels that two erosions by 3×3 take away."""
    eroded = [scipy.ndimage.binary_erosion(m, np.ones((3, 3)), iterations=2, border_value=0) for m in mask]
    return mask & ~np.array(eroded)


def band_iou(y_true: Any, y_pred: Any) -> Any:
    a, b = bands(np.asarray(y_true)), bands(np.asarray(y_pred))
    return (a & b).sum((1, 2)) / (a | b).sum((1, 2))


def class_band_iou(y_pred: Any, y_true: Any) -> Any:
    y_pred, y_true = np.asarray(y_pred), np.asarray(y_true)
    pairs = [(bands(y_true == c), bands(y_pred == c)) for c in range(3)]
    return np.array([(a & b).sum() / (a | b).sum() for a, b in pairs])


ABSENT = f32([3, 1, 0], [0, 4, 0], [0, 0, 0])
PREDICTED_ONLY = f32([3, 0, 1], [0, 4, 0], [0, 0, 0])
NOTHING = np.zeros((2, 2), np.float32)


def by_pair(score: Any) -> Any:
    """A score of two masks as one of pairs of masks."""
    return lambda y_true, y_pred: np.array(
        [score(a, b) for a, b in zip(np.asarray(y_true), np.asarray(y_pred), strict=True)]
    )


def class_f_by_hand(y_pred: Any, y_true: Any) -> Any:
    pairs = [(np.asarray(y_true) == label, np.asarray(y_pred) == label) for label in range(3)]
    return np.array([by_pair(partial(boundary_f_by_hand, tolerance=1))(*pair).mean() for pair in pairs])


def means_of(*quality: Any) -> Any:
    return panoptic.panoptic_means(panoptic.PanopticQuality(*quality))


GRID = np.eye(2, dtype=bool)
CASES: list[Case] = [
    Case(
        surface.mask_boundary, inputs(masks(2, 6, 5)), result=None,
        oracle=lambda mask: np.array([edge(m) for m in np.asarray(mask)]),
        edges=(((np.zeros((0, 2, 2), bool),), np.zeros((0, 2, 2))), ((GRID,), GRID)),
    ),
    Case(
        partial(surface.distance_to, spacing=(2.0, 0.5)), inputs(masks(2, 6, 5)), result=None,
        oracle=lambda mask: np.array([scipy.ndimage.distance_transform_edt(~m, sampling=(2, 0.5)) for m in mask]),
        edges=(((np.zeros((1, 2), bool),), f32([np.inf, np.inf])), ((np.zeros((2, 0), bool),), np.zeros((2, 0)))),
    ),
    Case(
        surface.hausdorff_distance, inputs(masks(3, 7, 6), masks(3, 7, 6)), result=None,
        oracle=by_pair(hausdorff_of_scipy),
        edges=(((GRID, GRID), 0), ((GRID, ~GRID), 1), ((GRID, GRID & False), np.inf), ((GRID & False,) * 2, NAN)),
    ),
    Case(
        partial(surface.hausdorff_distance, percentile=95, spacing=(1.5, 1.0)),
        inputs(masks(3, 7, 6), masks(3, 7, 6)), result=None, label="percentile",
        oracle=by_pair(partial(percentile_of_surfaces, percentile=95, spacing=(1.5, 1.0))),
        edges=(((GRID, GRID & False), np.inf), ((GRID & False, GRID & False), NAN)),
    ),
    Case(
        partial(surface.boundary_f_score, tolerance=1.0), inputs(masks(3, 7, 6), masks(3, 7, 6)), result=None,
        oracle=by_pair(partial(boundary_f_by_hand, tolerance=1)),
        edges=(((GRID, GRID), 1), ((GRID, GRID & False), 0), ((GRID & False, GRID & False), NAN)),
    ),
    Case(
        partial(measure, surface.class_boundary_f_score(3, tolerance=1.0)),
        inputs(labels(2, 7, 6, classes=3), labels(2, 7, 6, classes=3)), result=None, label="class_boundary_f_score",
        oracle=class_f_by_hand, edges=(((i32([[1]]), i32([[1]])), f32(NAN, 1, NAN)),),
    ),
    Case(
        partial(measure, panoptic.panoptic_quality(3)),
        inputs(*[labels(2, 4, 5, classes=n) for n in (4, 2, 4, 2)]), result=None, label="panoptic_quality",
        oracle=partial(panoptic_by_hand, classes=3),
        edges=(((i32([[[0, 3]]]),) * 4, [f32(1, NAN, NAN)] * 3),),
    ),
    Case(
        means_of, inputs(uniform(4), uniform(4), uniform(4)), result="float32", label="panoptic_means",
        oracle=lambda *arrays: [x.mean() for x in arrays],
        edges=(((f32(NAN, 1), f32(NAN, NAN), f32(0, 1)), (1, NAN, 0.5)),),
    ),
    Case(
        partial(measure, overlap.segmentation_matrix(3, ignore_label=255)),
        inputs(labels(2, 3, 2, classes=3), labels(2, 3, 2, classes=3)), result=None, label="segmentation_matrix",
        oracle=lambda y_pred, y_true: theirs.confusion_matrix(y_true.ravel(), y_pred.ravel(), labels=range(3)),
        edges=(((i32(0, 1, 2, 255), np.uint8([255, 1, 255, 255])), np.diag([0, 1, 0])),),
    ),
    Case(
        overlap.pixel_accuracy, counts, (), "float32", oracle=of_pairs(theirs.accuracy_score),
        domain=(1e-3, 1e4), edges=(((ABSENT,), 7 / 8),),
    ),
    Case(
        overlap.mean_accuracy, counts, (), "float32", oracle=of_pairs(theirs.balanced_accuracy_score),
        domain=(1e-3, 1e4), edges=(((NOTHING,), NAN), ((ABSENT,), 7 / 8), ((PREDICTED_ONLY,), 7 / 8)),
    ),
    Case(
        overlap.iou, counts, (), "float32", oracle=of_pairs(partial(theirs.jaccard_score, average=None)),
        domain=(1e-3, 1e4), edges=(((NOTHING,), f32(NAN, NAN)), ((ABSENT,), f32(3 / 4, 4 / 5, NAN))),
    ),
    Case(
        overlap.mean_iou, counts, (0,), "float32", oracle=lambda m: np.mean(iou_by_hand(m)), domain=(1e-3, 1e4),
        edges=(((NOTHING,), NAN), ((ABSENT,), (3 / 4 + 4 / 5) / 2), ((PREDICTED_ONLY,), (3 / 4 + 1 + 0) / 3)),
    ),
    Case(
        overlap.frequency_weighted_iou, counts, (), "float32",
        oracle=of_pairs(partial(theirs.jaccard_score, average="weighted")), domain=(1e-3, 1e4),
        edges=(((NOTHING,), NAN), ((ABSENT,), (4 * 3 / 4 + 4 * 4 / 5) / 8)),
    ),
    Case(
        overlap.dice_coefficient, counts, (), "float32", oracle=of_pairs(partial(theirs.f1_score, average=None)),
        domain=(1e-3, 1e4), edges=(((NOTHING,), f32(NAN, NAN)), ((ABSENT,), f32(6 / 7, 8 / 9, NAN))),
    ),
    Case(
        partial(boundary.boundary_band, width=2), inputs(masks(2, 7, 6)), result=None,
        oracle=lambda mask: bands(np.asarray(mask)),
        edges=(((np.ones((5, 5), bool),), np.pad([[False]], 2, constant_values=True)),),
    ),
    Case(
        partial(boundary.boundary_iou, width=2), inputs(masks(2, 7, 6), masks(2, 7, 6)), result=None, oracle=band_iou,
        edges=(((np.zeros((2, 2), bool), np.zeros((2, 2), bool)), NAN),
               ((np.ones((2, 2), bool), np.zeros((2, 2), bool)), 0)),
    ),
    Case(
        partial(measure, boundary.class_boundary_iou(3, width=2)),
        inputs(labels(2, 7, 6, classes=3), labels(2, 7, 6, classes=3)), result=None, label="class_boundary_iou",
        oracle=class_band_iou, edges=(((i32([[1]]), i32([[1]])), f32(NAN, 1, NAN)),),
    ),
]  # fmt: skip
