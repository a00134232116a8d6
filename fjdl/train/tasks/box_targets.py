"""What anchors and proposals learn of the objects of a batch, and what all tasks of detection require and measure."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fjdl import metrics
from fjdl.boxes import BACKGROUND, BETWEEN, Detections, area, intersection, pairwise_iou
from fjdl.metrics import Metric
from fjdl.numerics import widened
from fjdl.train.recipe import Batch, Loss
from fjdl.train.summary import Summary
from fjdl.train.tasks.base import Requirement, Task, TaskLoss, labels_below
from fjdl.typing import Array

Match = Callable[[Array, Array], Array]  # overlaps [objects, anchors] and which objects count, to matches [anchors]
Detect = Callable[[Any], Detections]

SPECIAL = ("crowd", "difficult")  # of objects, where a batch has it: nothing to be learned
COCO_NUMBERS = (
    "map", "coco_map50", "map75", "map_small", "map_medium", "map_large",
    "recall_1", "recall_10", "recall_100", "recall_small", "recall_medium", "recall_large",
)  # fmt: skip


class Targets(NamedTuple):
    """What each of a anchors of n images learns."""

    matches: Array  # int32 [n, a]: the number of an object, or `BACKGROUND` or `BETWEEN`
    labels: Array  # int32 [n, a]: the class of that object, -1 without one
    boxes: Array  # float32 [n, a, 4]: its corners, 0 without one

    @property
    def positive(self) -> Array:
        """Whether each anchor has an object, bool [n, a]."""
        return self.matches >= 0

    @property
    def counted(self) -> Array:
        """Whether a loss counts each anchor, bool [n, a]."""
        return self.matches != BETWEEN


def box_targets(anchors: Array, batch: Batch, match: Match, *, ignored: float = 0.4) -> Targets:
    """The targets of anchors `[a, 4]` of all images, or `[n, a, 4]` of each.

    Objects are those of `learned_objects`. An anchor of the background that overlaps a difficult object with an IoU of
    at least `ignored`, or of whose area so large a share lies in a crowd, is neither object nor background but
    `BETWEEN`.
    """
    special = {name: batch[name].astype(bool) & batch["valid"].astype(bool) for name in SPECIAL if name in batch}
    each = jax.vmap(
        partial(_matches, match=match, ignored=ignored), in_axes=(None if anchors.ndim == 2 else 0, 0, 0, 0)
    )
    return targets_of(each(anchors, batch["boxes"], learned_objects(batch), special), batch)


def targets_of(matches: Array, batch: Batch) -> Targets:
    """The targets of matches `[n, a]` with the objects of a batch.

    Corners are looked up one by one: on a TPU rows of four numbers take 36 times the memory, 193 MiB for 8 images of
    49,104 anchors.
    """

    def of_image(matches: Array, labels: Array, boxes: Array) -> Targets:
        positive, place = matches >= 0, jnp.maximum(matches, 0)
        label = jnp.where(positive, jnp.asarray(labels)[place].astype(jnp.int32), -1)
        corners = jnp.stack([side[place] for side in jnp.unstack(widened(boxes), axis=1)], axis=-1)
        return Targets(matches, label, jnp.where(positive[:, None], corners, 0))

    return jax.vmap(of_image)(matches, batch["labels"], batch["boxes"])


def learned_objects(batch: Batch) -> Array:
    """Which boxes of a batch are objects to be learned: the valid ones that are neither a crowd nor difficult."""
    valid = batch["valid"].astype(bool)
    for name in SPECIAL:
        valid = valid & ~batch[name].astype(bool) if name in batch else valid
    return valid


def detection_task(loss: Loss, detect: Detect, *, classes: int, capacity: int) -> Task:
    """A loss of outputs and batch with what all tasks of detection require, measure and tell of what is found."""
    return Task(TaskLoss(loss, _requirements(classes), _summary(detect)), _measured(classes, detect, capacity=capacity))


def object_counts(present: Array) -> Array:
    """How many of `[n, a]` are present in each image, 1 at least, float32 [n]."""
    return jnp.maximum(jnp.sum(present, axis=1, dtype=jnp.int32), 1).astype(jnp.float32)


def masked_sum(values: Array, counted: Array) -> Array:
    """The sum of the values `[n, a]` that count in each image, [n]."""
    return jnp.sum(jnp.where(counted, values, 0), axis=1)


def _matches(
    anchors: Array, boxes: Array, learned: Array, special: Mapping[str, Array], *, match: Match, ignored: float
) -> Array:
    anchors, boxes = widened(anchors), widened(boxes)
    overlaps = pairwise_iou(boxes, anchors)
    matches = match(overlaps, learned)
    for name, which in special.items():
        covered = overlaps if name == "difficult" else _shares(boxes, anchors)
        hidden = jnp.any(which[:, None] & (covered >= ignored), axis=0)
        matches = jnp.where(hidden & (matches == BACKGROUND), BETWEEN, matches)
    return matches


def _shares(boxes: Array, anchors: Array) -> Array:
    """The share of each anchor's area that lies in each box, [objects, anchors]."""
    pairs = [jnp.broadcast_to(x, (boxes.shape[0], anchors.shape[0], 4)) for x in (boxes[:, None], anchors[None])]
    common, own = intersection(*pairs), area(pairs[1])
    return jnp.where(own > 0, common / jnp.where(own > 0, own, 1), 0)


def _requirements(classes: int) -> tuple[Requirement, ...]:
    """What a task of detection asks of "boxes" and "labels", those that only fill up included."""

    def ascending(corners: np.ndarray) -> np.ndarray:
        ascend = corners[..., 2:] >= corners[..., :2]
        return np.isfinite(corners) & np.concatenate([ascend, ascend], axis=-1)

    return Requirement("boxes", "be finite corners that ascend", ascending), labels_below("labels", classes)


def _measured(classes: int, detect: Detect, *, capacity: int) -> dict[str, Metric]:
    """Average precisions of what is found: "map50", "class_precision" and the vector "coco"."""
    voc = metrics.voc_detection(classes, capacity=capacity)
    measured = {
        "map50": metrics.then(voc, lambda precision: precision.mean_all_points),
        "class_precision": metrics.then(voc, lambda precision: precision.all_points),
        "coco": metrics.then(
            metrics.coco_detection(classes, capacity=capacity),
            lambda evaluation: jnp.stack(metrics.coco_summary(evaluation)),
        ),
    }
    return {
        name: metrics.on(metric, lambda outputs, batch: (detect(outputs), batch)) for name, metric in measured.items()
    }


def _summary(detect: Detect) -> Summary:
    """How detections are told: the headline is "map50", COCO's 12 numbers stand beside it by name."""
    return Summary("map50", numbers=_numbers, detections=detect)


def _numbers(results: Mapping[str, Any]) -> dict[str, Any]:
    """COCO's 12 numbers by name."""
    if "coco" not in results:
        return {}
    return dict(zip(COCO_NUMBERS, np.asarray(results["coco"]).tolist(), strict=True))
