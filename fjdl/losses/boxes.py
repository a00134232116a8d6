"""Losses on boxes in corner format, `[x0, y0, x1, y1]`, one value per box."""

from collections.abc import Callable

import jax.numpy as jnp

from fjdl.boxes.overlap import ciou, diou, giou, iou
from fjdl.checks import within
from fjdl.fused import fused
from fjdl.losses.classification import softmax_cross_entropy
from fjdl.numerics import is_label, widened
from fjdl.typing import Array, Float, Integer, Number, typed


@typed
@fused
def iou_loss(boxes: Float[Array, "*batch 4"], targets: Float[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """One minus the intersection over union, `1 - IoU`, in [0, 1].

    1 with zero gradient for disjoint boxes, and where both are empty or inverted: see `fjdl.boxes.iou`.

    >>> iou_loss(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([0.5], dtype=float32)
    """
    return 1 - iou(boxes, targets)


@typed
@fused
def log_iou_loss(boxes: Float[Array, "*batch 4"], targets: Float[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """Minus the logarithm of the intersection over union, `-ln IoU`, in [0, inf].

    inf with zero gradient where the boxes share no area, so only a mask keeps such a box out of a mean.
    Yu et al. 2016 (UnitBox), arXiv:1608.01471.

    >>> log_iou_loss(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([0.6931...], dtype=float32)
    """
    overlap = iou(boxes, targets)
    return jnp.where(overlap == 0, jnp.inf, -jnp.log(jnp.where(overlap == 0, 1, overlap)))


@typed
@fused
def giou_loss(boxes: Float[Array, "*batch 4"], targets: Float[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """One minus the generalized IoU, `1 - GIoU`, in [0, 2], with a gradient also for disjoint boxes.

    Rezatofighi et al. 2019, arXiv:1902.09630. Equals `torchvision.ops.generalized_box_iou_loss` up to its epsilon.

    >>> giou_loss(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([0.5], dtype=float32)
    """
    return 1 - giou(boxes, targets)


@typed
@fused
def diou_loss(boxes: Float[Array, "*batch 4"], targets: Float[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """One minus the distance IoU, `1 - IoU + |Δcenter|² / diagonal(hull)²`, in [0, 2].

    Zheng et al. 2020, arXiv:1911.08287. Equals `torchvision.ops.distance_box_iou_loss` up to its epsilon.

    >>> diou_loss(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([0.53125], dtype=float32)
    """
    return 1 - diou(boxes, targets)


@typed
@fused
def ciou_loss(boxes: Float[Array, "*batch 4"], targets: Float[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """One minus the complete IoU, `1 - IoU + |Δcenter|² / diagonal(hull)² + α v`, where v compares the aspect ratios.

    The weight α is a constant in the gradient, as in the paper: see `fjdl.boxes.ciou`. In [0, 2.5].
    Zheng et al. 2020, arXiv:1911.08287. Equals `torchvision.ops.complete_box_iou_loss` up to its epsilon.
    """
    return 1 - ciou(boxes, targets)


@typed
@fused
def box_l2_loss(boxes: Float[Array, "*batch 4"], targets: Float[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """Sum of the squared differences of the four numbers of a box, `Σᵢ (bᵢ - tᵢ)²`, in any format of boxes.

    >>> box_l2_loss(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([1.], dtype=float32)
    """
    return jnp.sum(jnp.square(widened(boxes) - widened(targets)), axis=-1)


@typed
@fused
def localization_loss(
    logits: Float[Array, "*batch k"],
    boxes: Float[Array, "*batch 4"],
    labels: Integer[Array, "*batch"],
    targets: Float[Array, "*batch 4"],
    *,
    box_weight: Number = 1.0,
    box_cost: Callable[[Array, Array], Array] = box_l2_loss,
    background: int | None = None,
) -> Float[Array, "*batch"]:
    """Classification and localization of one object per example: `-log softmax(logits)[label] + box_weight · box_cost`.

    `box_cost(boxes, targets)` gives one value per box. An example of the class `background` has no object: its box
    costs nothing and has zero gradient, whatever its target holds. A label outside of [0, k) gives NaN.
    Girshick 2015 (Fast R-CNN), arXiv:1504.08083, §2.3, where `background` is 0 and the cost a smooth L1.
    """
    within("[0, inf)", box_weight=box_weight)
    ordinary = jnp.ones(labels.shape, bool)
    present = ordinary if background is None else ~is_label(labels, background, name="background")
    boxes, targets = (jnp.where(present[..., None], widened(x), 0) for x in (boxes, targets))
    costs = jnp.where(present, box_cost(boxes, targets), 0)
    return softmax_cross_entropy(logits, labels) + box_weight * costs
