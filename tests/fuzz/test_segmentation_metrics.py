"""Scores of segmentations against scikit-learn and SciPy on random small label maps."""

import warnings

import jax
import numpy as np
import pytest
import scipy.ndimage
import sklearn.metrics
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from fjdl.metrics.base import measure, then
from fjdl.metrics.segmentation import boundary, overlap as regions

pytestmark = pytest.mark.fuzz

many = settings(max_examples=1000, deadline=None, derandomize=True)
CLASSES, SHAPE = 4, (2, 4, 5)
SCORES = (
    regions.pixel_accuracy, regions.mean_accuracy, regions.iou, regions.mean_iou,
    regions.frequency_weighted_iou, regions.dice_coefficient,
)  # fmt: skip

maps = st.one_of(
    arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2, 3, 255])),
    arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 0, 1, 255])),
    st.sampled_from([np.full(SHAPE, c, np.uint8) for c in (0, 3, 255)]),
)


def streamed(ignore_label):
    @jax.jit
    def scores(y_true, y_pred):
        matrix = regions.segmentation_matrix(CLASSES, ignore_label=ignore_label)
        metrics = [then(matrix, score) for score in SCORES]
        halves = [[m.update(m.init(), y_pred[i : i + 1], y_true[i : i + 1]) for i in (0, 1)] for m in metrics]
        return [m.compute(m.merge(*pair)) for m, pair in zip(metrics, halves, strict=True)]

    return scores


BY_IGNORED = {ignored: streamed(ignored) for ignored in (255, 0)}


def of_scikit_learn(y_true, y_pred):
    present = np.union1d(y_true, y_pred)
    options = {"labels": present, "zero_division": 0}
    per_class = np.full((2, CLASSES), np.nan)
    per_class[0, present] = sklearn.metrics.jaccard_score(y_true, y_pred, average=None, **options)
    per_class[1, present] = sklearn.metrics.f1_score(y_true, y_pred, average=None, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes that are predicted and not present
        balanced = sklearn.metrics.balanced_accuracy_score(y_true, y_pred)
    return [
        sklearn.metrics.accuracy_score(y_true, y_pred),
        balanced,
        per_class[0],
        sklearn.metrics.jaccard_score(y_true, y_pred, average="macro", **options),
        sklearn.metrics.jaccard_score(y_true, y_pred, average="weighted", **options),
        per_class[1],
    ]


@many
@given(maps, maps, st.sampled_from([255, 0]))
def test_scores_equal_scikit_learn_of_the_pixels_that_count(y_true, y_pred, ignored):
    ours = BY_IGNORED[ignored](y_true, y_pred)
    counts = (y_true != ignored) & (y_true < CLASSES) & (y_pred < CLASSES)
    if not counts.any():
        assert all(np.isnan(x).all() for x in ours)
        return
    for a, b in zip(ours, of_scikit_learn(y_true[counts], y_pred[counts]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def band(mask, width):
    eroded = scipy.ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width, border_value=0)
    return mask & ~eroded


def overlap(y_true, y_pred, width):
    pairs = [(band(a, width), band(b, width)) for a, b in zip(y_true, y_pred, strict=True)]
    return sum((a & b).sum() for a, b in pairs), sum((a | b).sum() for a, b in pairs)


METRICS = {width: boundary.class_boundary_iou(CLASSES, width=width, ignore_label=255) for width in (1, 2)}
BOUNDARIES = {width: jax.jit(lambda t, p, metric=metric: measure(metric, p, t)) for width, metric in METRICS.items()}


@many
@given(maps, maps, st.sampled_from([1, 2]))
def test_boundary_iou_equals_repeated_erosion(y_true, y_pred, width):
    ours = BOUNDARIES[width](y_true, y_pred)
    y_pred = np.where(y_true == 255, 255, y_pred)
    for label in range(CLASSES):
        both, either = overlap(y_true == label, y_pred == label, width)
        np.testing.assert_allclose(ours[label], both / either if either else np.nan, rtol=1e-6)


PAIRS = {width: jax.jit(lambda t, p, width=width: boundary.boundary_iou(t, p, width=width)) for width in (1, 2, 7)}


@many
@given(arrays(bool, (7, 6)), arrays(bool, (7, 6)), st.sampled_from([1, 2, 7]))
def test_boundary_iou_of_one_pair_of_masks_equals_repeated_erosion(y_true, y_pred, width):
    both, either = overlap(y_true[None], y_pred[None], width)
    np.testing.assert_allclose(PAIRS[width](y_true, y_pred), both / either if either else np.nan, rtol=1e-6)
