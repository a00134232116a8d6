"""Scores of a segmentation, from the confusion matrix of its pixels: rows are labels and columns predictions.

The matrix of all pixels is divided once, so that results are those of the whole set and no means of means: they
stream as `then(segmentation_matrix(21, ignore_label=255), mean_iou)`.
"""

from functools import partial

import jax.numpy as jnp

from fjdl.metrics.base import Metric, Weights, streaming
from fjdl.metrics.classification.rates import accuracy_from, f1, jaccard, macro, recall, weighted
from fjdl.metrics.classification.streaming import confusion_matrix
from fjdl.metrics.state.amounts import Amount
from fjdl.numerics import is_label, signed
from fjdl.typing import Array, Float, Integer, Num, Scalar, typed


@streaming("measure(segmentation_matrix(21), predictions, labels)")
def segmentation_matrix(classes: int, *, ignore_label: int | None = None) -> Metric:
    """Number of pixels by label (row) and predicted class (column): `confusion_matrix` with a label to ignore.

    `update(state, predictions, labels, weights=None)`; weights may be per image or per pixel. Pixels labelled
    `ignore_label`, which may or may not lie in [0, classes), never count, whatever is predicted there. Neither do
    pixels of which label or prediction is outside [0, classes). The state is exact to 2⁶⁴ pixels.
    Equals `sklearn.metrics.confusion_matrix(labels=range(classes))` of the pixels that are not ignored.
    """
    pairs = confusion_matrix(classes)

    @typed
    def update(
        state: Amount, predictions: Integer[Array, "*batch"], labels: Integer[Array, "*batch"], weights: Weights = None
    ) -> Amount:
        if ignore_label is not None:
            labels = jnp.where(is_label(labels, ignore_label, name="ignore_label"), -1, signed(labels))
        return pairs.update(state, predictions, labels, weights=weights)

    return pairs._replace(update=update)


@typed
def pixel_accuracy(matrix: Num[Array, "k k"]) -> Scalar:
    """Fraction in [0, 1] of pixels that are right, `Σ TP / n`; NaN without pixels.

    Long, Shelhamer & Darrell 2015, arXiv:1411.4038, §5. Equals `sklearn.metrics.accuracy_score`.

    >>> pixel_accuracy(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array(0.75, dtype=float32)
    """
    return accuracy_from(matrix)


@typed
def mean_accuracy(matrix: Num[Array, "k k"]) -> Scalar:
    """Mean of the accuracies of the classes, `1/k Σ TP / (TP + FN)`, over the classes that have pixels.

    NaN without pixels. Long, Shelhamer & Darrell 2015, §5. Equals `sklearn.metrics.balanced_accuracy_score`.

    >>> mean_accuracy(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array(0.75, dtype=float32)
    """
    return macro(partial(recall, zero_division=jnp.nan), matrix)


@typed
def iou(matrix: Num[Array, "k k"]) -> Float[Array, " k"]:
    """Intersection over union of each class, `TP / (TP + FP + FN)`, in [0, 1].

    NaN for a class that is neither present nor predicted, which `jaccard` lets one choose.
    Equals `sklearn.metrics.jaccard_score(average=None)` for the other classes.

    >>> iou(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([0.5      , 0.6666...], dtype=float32)
    """
    return jaccard(matrix, zero_division=jnp.nan)


@typed
def mean_iou(matrix: Num[Array, "k k"]) -> Scalar:
    """Mean of `iou` over the classes that are present or predicted; NaN without pixels.

    A class that is predicted but not present counts with 0. Long, Shelhamer & Darrell 2015, §5.

    >>> mean_iou(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array(0.5833..., dtype=float32)
    """
    return macro(iou, matrix)


@typed
def frequency_weighted_iou(matrix: Num[Array, "k k"]) -> Scalar:
    """Mean of `iou` weighted by the number of pixels of each class, `Σ (TP + FN) · iou / n`; NaN without pixels.

    Long, Shelhamer & Darrell 2015, §5. Equals `sklearn.metrics.jaccard_score(average="weighted")`.

    >>> frequency_weighted_iou(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array(0.5833..., dtype=float32)
    """
    return weighted(iou, matrix)


@typed
def dice_coefficient(matrix: Num[Array, "k k"]) -> Float[Array, " k"]:
    """Dice coefficient of each class, `2 TP / (2 TP + FP + FN)`, in [0, 1]: the `f1` of its pixels.

    NaN for a class that is neither present nor predicted. Dice 1945, Ecology 26.
    Equals `sklearn.metrics.f1_score(average=None)` for the other classes.

    >>> dice_coefficient(jnp.array([[1.0, 1.0], [0.0, 2.0]]))
    Array([0.6666..., 0.8      ], dtype=float32)
    """
    return f1(matrix, zero_division=jnp.nan)
