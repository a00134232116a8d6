"""Segmentation: one class for each pixel."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl import losses, metrics
from fjdl.checks import within
from fjdl.functional.activations import softmax
from fjdl.losses import softmax_cross_entropy
from fjdl.train.answers import Segmented
from fjdl.train.recipe import Batch
from fjdl.train.summary import Summary
from fjdl.train.tasks.base import Requirement, Task, TaskLoss
from fjdl.typing import Array

VOID = 255  # the label of pixels that are of no class, as in Pascal VOC


def segmentation(
    classes: int,
    *,
    void: int = VOID,
    dice: float = 0.0,
    smoothing: float = 0.0,
    class_weights: tuple[float, ...] | None = None,
    headline: str = "mean_iou",
) -> Task:
    """Logits `[n, h, w, classes]` against `batch["mask"]` `[n, h, w]`: cross entropy of each pixel in nats, and IoU.

    Pixels labelled `void` have neither value nor gradient and take part in no metric. Each other pixel is one term of
    the mean over a batch; `dice` times the soft Dice loss of its image, over classes, is added to it. `class_weights`
    multiply the terms of the classes, as in `losses.softmax_cross_entropy`.

    Results: mean IoU over the classes that are there, pixel accuracy, the confusion matrix of pixels. The summary adds
    the IoU and the Dice coefficient (F1) of each class, `foreground_dice` where there are two classes, the count of
    pixels and the mean accuracy of classes. `headline` is the result that is told, "mean_iou" or "foreground_dice"; for
    the latter recipes take `monitor="foreground_dice"`. Raises `ValueError` for logits of another shape than mask and
    classes have, and for a negative `dice`.
    """
    within("[0, inf)", dice=dice)
    weights = None if class_weights is None else jnp.asarray(class_weights)

    def loss(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        mask = batch["mask"]
        if outputs.shape != (*mask.shape, classes):
            raise ValueError(f"the model must give logits of shape {(*mask.shape, classes)}, got {outputs.shape}")
        counted = mask != void
        values = softmax_cross_entropy(outputs, mask, smoothing=smoothing, class_weights=weights, ignore_label=void)
        if dice:
            values = values + jnp.where(counted, dice * _dice(outputs, mask, counted)[:, None, None], 0)
        return values, counted.astype(values.dtype)

    def predicted(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        return metrics.predicted_class(outputs), batch["mask"]

    def in_range(mask: np.ndarray) -> np.ndarray:
        return (mask < classes) | (mask == void)

    matrix = metrics.segmentation_matrix(classes, ignore_label=void)
    measured = {
        "mean_iou": metrics.then(matrix, metrics.mean_iou),
        "pixel_accuracy": metrics.then(matrix, metrics.pixel_accuracy),
        "confusion": matrix,
    }
    if classes == 2:
        measured["foreground_dice"] = metrics.then(matrix, lambda table: metrics.dice_coefficient(table)[1])
    required = Requirement("mask", f"lie in [0, {classes}) or be {void}", in_range)
    summary = Summary(
        headline,
        numbers=_numbers,
        confusion="confusion",
        answer=lambda outputs, batch: Segmented(metrics.predicted_class(outputs)),
    )
    return Task(
        TaskLoss(loss, (required,), summary),
        {name: metrics.on(metric, predicted) for name, metric in measured.items()},
    )


def _dice(logits: Array, mask: Array, counted: Array) -> Array:
    """The soft Dice loss of each image over its classes."""
    classes = logits.shape[-1]
    targets = jax.nn.one_hot(jnp.where(counted, mask, 0), classes)
    known = jnp.where(counted[..., None], logits, 0)  # nothing of the others comes back through the softmax
    return losses.dice_loss(softmax(known), targets, mask=counted)


def _numbers(results: Mapping[str, Any]) -> dict[str, Any]:
    """Of each class the IoU and Dice, beside the count of pixels and the mean accuracy."""
    if "confusion" not in results:
        return {}
    matrix = jnp.asarray(results["confusion"])
    return {
        "count": int(matrix.sum()),
        "iou": metrics.iou(matrix).tolist(),
        "dice": metrics.dice_coefficient(matrix).tolist(),
        "mean_accuracy": float(metrics.mean_accuracy(matrix)),
    }
