"""Localization: the class of an image and the box of its object."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from fjdl import boxes, losses, metrics
from fjdl.functional.activations import softmax
from fjdl.train.recipe import Batch
from fjdl.train.summary import Summary
from fjdl.train.tasks.base import Requirement, Task, TaskLoss, labels_below
from fjdl.train.tasks.classification import numbers_of_confusion
from fjdl.typing import Array


def localization(
    classes: int,
    *,
    box_weight: float = 5.0,
    box_cost: Callable[[Array, Array], Array] = losses.box_l2_loss,
    background: int | None = None,
) -> Task:
    """`{"logits": [n, classes], "box": [n, 4]}` against `batch["label"]` `[n]` and `batch["box"]` `[n, 4]`.

    Boxes are centre and size in parts of the image, as `models.Localizer` gives them. The loss is the cross entropy in
    nats and `box_weight` times the squared difference of boxes, or another `box_cost`; images of the class `background`
    have no object, and their boxes do not count (`losses.localization_loss`).

    Results: accuracy, the confusion matrix, the mean IoU of boxes of images with an object, and `located`, the share of
    images whose class is right and whose box has an IoU of at least 0.5, the class alone where there is no object
    (Russakovsky et al. 2015, arXiv:1409.0575, with one box). The summary's headline is `located`; its answer is one box
    for each image in pixels of `batch["image"]`, with the probability of its class, or none where that is `background`.
    """

    def loss(outputs: Any, batch: Batch) -> Array:
        return losses.localization_loss(
            outputs["logits"],
            outputs["box"],
            batch["label"],
            batch["box"],
            box_weight=box_weight,
            box_cost=box_cost,
            background=background,
        )

    def classified(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        return metrics.predicted_class(outputs["logits"]), batch["label"]

    def overlap(outputs: Any, batch: Batch) -> Array:
        return boxes.iou(boxes.from_center_size(outputs["box"]), boxes.from_center_size(batch["box"]))

    def present(batch: Batch) -> Array:
        return batch["label"] != (-1 if background is None else background)

    def located(outputs: Any, batch: Batch) -> tuple[Array]:
        right = classified(outputs, batch)[0] == batch["label"]
        return ((right & ((overlap(outputs, batch) >= 0.5) | ~present(batch))).astype("float32"),)

    def found(outputs: Any, batch: Batch) -> boxes.Detections:
        probabilities = softmax(outputs["logits"])
        labels = metrics.predicted_class(outputs["logits"])
        height, width = batch["image"].shape[1:3]
        corners = boxes.from_center_size(outputs["box"]) * jnp.array([[width, height, width, height]], jnp.float32)
        there = (labels >= 0) & present({"label": labels})
        scores = jnp.max(probabilities, axis=1)
        return boxes.Detections(
            jnp.where(there[:, None], corners, 0)[:, None],
            jnp.where(there, scores, 0)[:, None],
            jnp.where(there, labels, 0)[:, None],
            there[:, None],
        )

    measured = {
        "accuracy": metrics.on(metrics.accuracy(), lambda outputs, batch: (outputs["logits"], batch["label"])),
        "mean_overlap": metrics.on(metrics.mean(), lambda outputs, batch: (overlap(outputs, batch),), weights=present),
        "located": metrics.on(metrics.mean(), located),
        "confusion": metrics.on(metrics.confusion_matrix(classes), classified),
    }
    required = labels_below("label", classes), Requirement("box", "be finite", np.isfinite)
    summary = Summary(
        "located",
        numbers=_numbers,
        confusion="confusion",
        probabilities=lambda outputs: softmax(outputs["logits"]),
        answer=found,
    )
    return Task(TaskLoss(loss, required, summary), measured)


def _numbers(results: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the classes, and the 95 % Wilson interval of the share of located objects."""
    numbers = numbers_of_confusion(results)
    if numbers and "located" in results:
        count = jnp.asarray(numbers["count"])
        interval = metrics.wilson_interval(jnp.round(results["located"] * count), count)
        numbers["located_interval"] = [float(bound) for bound in interval]
    return numbers
