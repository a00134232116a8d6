"""Detection by anchors in one stage: which objects are where in an image."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.boxes import Detections, class_detections, clip_to_image, decode, encode, match_by_threshold
from fjdl.checks import at_least, within
from fjdl.functional.activations import sigmoid
from fjdl.losses import sigmoid_focal_loss, smooth_l1_loss
from fjdl.numerics import widened
from fjdl.train.recipe import Batch
from fjdl.train.tasks.base import Task
from fjdl.train.tasks.box_targets import (
    Match,
    box_targets,
    detection_task,
    masked_sum,
    object_counts,
)
from fjdl.typing import Array

Weights = tuple[float, float, float, float]
BoxCost = Callable[[Array, Array], Array]

NEAREST: Match = partial(match_by_threshold, low=0.4, high=0.5, low_quality=True)  # RetinaNet's


def detection(
    classes: int,
    anchors: Array,
    *,
    capacity: int,
    image_size: tuple[int, int] | None = None,
    match: Match = NEAREST,
    gamma: float = 2.0,
    alpha: float = 0.25,
    beta: float = 1 / 9,
    box_weight: float = 1.0,
    box_cost: BoxCost | None = None,
    code_weights: Weights = (1.0, 1.0, 1.0, 1.0),
    most: int = 100,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.05,
    candidates: int | None = 1000,
) -> Task:
    """`{"logits": [n, a, classes], "offsets": [n, a, 4]}` for `anchors` `[a, 4]` against the boxes of a batch.

    Networks are `models.RetinaNet` and `models.SSD`; `models.retinanet_anchors` and `models.ssd_anchors` make their
    anchors. A batch has "boxes" `[n, m, 4]`, corners in pixels, "labels" `[n, m]`, "valid" `[n, m]`, and where there
    are such, "crowd" and "difficult" `[n, m]`, which are nothing to be learned: an anchor of the background which
    overlaps a difficult object with an IoU of at least 0.4, or 40 % of which lie in a crowd, does not count.

    The loss of an image is `(Σ focal + box_weight · Σ box) / max(1, positives)`: the focal loss of sigmoids, by `gamma`
    and `alpha`, over all classes of the anchors that `match` gives an object, the positives, or the background; and
    over the positives the smooth L1 loss with `beta` of the four offsets from `boxes.encode` with `code_weights`, or
    instead `box_cost` of boxes and targets, such as `losses.giou_loss`. Lin et al. 2017, arXiv:1708.02002. With `beta`
    0 the mean over images is that of torchvision's RetinaNet, the sum of its two losses. `boxes.match_bipartite` is the
    `match` of SSD.

    `task.loss.summary.detections(outputs)` is what is found: `boxes.class_detections` with the last four options, of
    boxes that are cut off at `image_size` = (height, width) where it is given.

    Results, with room for `capacity` detections in an evaluation, of which images times `most` are always enough:
    `map50`, the mean over classes of Pascal VOC's average precision at an IoU of 0.5 (area under the curve, difficult
    objects left out), `class_precision`, that of each class, NaN without objects, and `coco`, COCO's 12 numbers, which
    the summary names, with `map` as the first. Areas of COCO's are those of the images as trained. The headline is
    `map50`, and recipes take it as `monitor`. Raises `ValueError` for outputs of another shape than anchors and classes
    have, and for options out of range.
    """
    within("[0, inf)", beta=beta, box_weight=box_weight)
    at_least(1, classes=classes)
    places = np.asarray(anchors, np.float32)
    if places.ndim != 2 or places.shape[1] != 4:
        raise ValueError(f"anchors must have the shape [a, 4], got {list(places.shape)}")

    def checked(outputs: Any) -> tuple[Array, Array]:
        logits, offsets = outputs["logits"], outputs["offsets"]
        wanted = (logits.shape[0], len(places))
        if logits.shape != (*wanted, classes) or offsets.shape != (*wanted, 4):
            raise ValueError(
                f"the model must give logits and offsets of shapes {(*wanted, classes)} and {(*wanted, 4)}, got "
                f"{logits.shape} and {offsets.shape}"
            )
        return logits, offsets

    def loss(outputs: Any, batch: Batch) -> Array:
        logits, offsets = checked(outputs)
        targets = box_targets(jnp.asarray(places), batch, match)
        positive, counted = targets.positive, targets.counted
        focal = sigmoid_focal_loss(
            jnp.where(counted[..., None], logits, 0), jax.nn.one_hot(targets.labels, classes), gamma=gamma, alpha=alpha
        )
        costs = box_costs(
            jnp.where(positive[..., None], offsets, 0),
            _for_all(places, len(offsets)),
            targets.boxes,
            code_weights=code_weights,
            beta=beta,
            box_cost=box_cost,
        )
        total = masked_sum(jnp.sum(focal, axis=-1), counted) + box_weight * masked_sum(costs, positive)
        return total / object_counts(positive)

    def detect(outputs: Any) -> Detections:
        logits, offsets = checked(outputs)
        found = decode(offsets, _for_all(places, len(offsets)), weights=code_weights)
        return class_detections(
            clipped(found, image_size),
            sigmoid(widened(logits)),
            most=most,
            iou_threshold=iou_threshold,
            score_threshold=score_threshold,
            candidates=candidates,
        )

    return detection_task(loss, detect, classes=classes, capacity=capacity)


def box_costs(
    offsets: Array, anchors: Array, boxes: Array, *, code_weights: Weights, beta: float, box_cost: BoxCost | None = None
) -> Array:
    """The cost of each box that offsets make of anchors, all `[..., 4]`: `[...]`.

    It is the smooth L1 loss, summed over the four offsets, or the cost of the boxes.
    """
    if box_cost is None:
        return 4 * smooth_l1_loss(widened(offsets), encode(boxes, anchors, weights=code_weights), beta=beta)
    return box_cost(decode(offsets, anchors, weights=code_weights), boxes)


def clipped(boxes: Array, image_size: tuple[float, float] | None) -> Array:
    """The boxes cut off at an image of (height, width), or as they are."""
    return boxes if image_size is None else clip_to_image(boxes, height=image_size[0], width=image_size[1])


def _for_all(anchors: np.ndarray, images: int) -> Array:
    return jnp.broadcast_to(jnp.asarray(anchors), (images, *anchors.shape))
