"""Detection in two stages: which regions hold an object, and which object it is and where."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.augment import example_key
from fjdl.batch import EPOCH, INDEX
from fjdl.boxes import BETWEEN, Detections, decode, detections, match_by_threshold, sample_balanced
from fjdl.checks import at_least
from fjdl.functional.activations import softmax
from fjdl.losses import sigmoid_cross_entropy, softmax_cross_entropy
from fjdl.numerics import widened
from fjdl.train.recipe import Batch
from fjdl.train.tasks.base import Task
from fjdl.train.tasks.box_targets import (
    Match,
    Targets,
    box_targets,
    detection_task,
    masked_sum,
    object_counts,
)
from fjdl.train.tasks.detection import Weights, box_costs, clipped
from fjdl.typing import Array

PLAIN: Weights = (1.0, 1.0, 1.0, 1.0)
REGIONS: Match = partial(match_by_threshold, low=0.3, high=0.7, low_quality=True)
PROPOSALS: Match = partial(match_by_threshold, low=0.5, high=0.5)


def two_stage_detection(
    classes: int,
    anchors: Array | None = None,
    *,
    capacity: int,
    image_size: tuple[int, int] | None = None,
    region_match: Match = REGIONS,
    match: Match = PROPOSALS,
    region_samples: int = 256,
    samples: int = 512,
    beta: float = 1 / 9,
    code_weights: Weights = (10.0, 10.0, 5.0, 5.0),
    sample_seed: int = 0,
    most: int = 100,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.05,
    candidates: int | None = 1000,
) -> Task:
    """What `models.FasterRCNN` gives against the boxes of a batch, as in `detection`; `models.FastRCNN` has no anchors.

    `anchors` `[a, 4]` are those of `models.faster_rcnn_anchors`. The loss of an image is the sum of four means. In the
    first stage `region_samples` anchors are drawn, at most half of them with an object by `region_match`, the rest from
    the background: the mean over them of the binary cross entropy of an object, and of the smooth L1 loss with `beta`
    of the four offsets where there is one, else 0. In the second stage `samples` of the valid proposals are drawn, at
    most a quarter with an object by `match`: the mean cross entropy of classes, of which the last is the background,
    and so the smooth L1 loss of the offsets of the object's class, from `boxes.encode` with `code_weights`. Where fewer
    can be drawn the mean is over those. What is drawn is a function of `sample_seed`, the epoch and the number of the
    example, so that training resumes to the bit. Ren et al. 2015, arXiv:1506.01497, §3.1.2.

    The losses are those of torchvision's `fasterrcnn_resnet50_fpn`, whose means are over all samples of a batch; there
    the second stage computes what is drawn alone. Proposals of training must hold the objects, as `FasterRCNN` adds
    them where it is given them.

    `task.loss.summary.detections(outputs)` has for each valid proposal and class a score by softmax and the class's
    own box, and what `boxes.detections` by the last four options leaves. Results, summary and `capacity` are those of
    `detection`. Raises `ValueError` for outputs of another shape than anchors and classes have.
    """
    at_least(1, classes=classes, region_samples=region_samples, samples=samples)
    places = None if anchors is None else np.asarray(anchors, np.float32)

    def first_stage(outputs: Any, batch: Batch) -> Array:
        logits, offsets = outputs["region_logits"], outputs["region_offsets"]
        known = None if places is None else len(places)
        if places is None or known != logits.shape[1]:
            raise ValueError(f"anchors must be as many as the model's {logits.shape[1]}, got {known}")
        targets = box_targets(jnp.asarray(places), batch, region_match, ignored=0.3)
        positive, drawn = _drawn(targets.matches, batch, (sample_seed, 0), size=region_samples, fraction=0.5)
        found = sigmoid_cross_entropy(widened(jnp.where(drawn, logits, 0)), positive.astype(jnp.float32))
        costs = _offset_costs(offsets, positive, jnp.asarray(places), targets, PLAIN, beta)
        return (masked_sum(found, drawn) + masked_sum(costs, positive)) / object_counts(drawn)

    def second_stage(outputs: Any, batch: Batch) -> Array:
        logits, offsets, proposals = checked(outputs)
        targets = box_targets(proposals, batch, match, ignored=0.5)
        matches = jnp.where(outputs["valid"], targets.matches, BETWEEN)
        positive, drawn = _drawn(matches, batch, (sample_seed, 1), size=samples, fraction=0.25)
        label = jnp.where(positive, targets.labels, classes)
        named = softmax_cross_entropy(jnp.where(drawn[..., None], logits, 0), label)
        own = jax.nn.one_hot(label, classes + 1, dtype=bool)[..., None]
        chosen = jnp.sum(jnp.where(own, widened(offsets), 0), axis=2)
        costs = _offset_costs(chosen, positive, proposals, targets, code_weights, beta)
        return (masked_sum(named, drawn) + masked_sum(costs, positive)) / object_counts(drawn)

    def checked(outputs: Any) -> tuple[Array, Array, Array]:
        logits, offsets, proposals = outputs["logits"], outputs["offsets"], outputs["proposals"]
        wanted = (*proposals.shape[:2], classes + 1)
        if logits.shape != wanted or offsets.shape != (*wanted, 4):
            raise ValueError(
                f"the model must give logits and offsets of shapes {wanted} and {(*wanted, 4)}, got {logits.shape} and "
                f"{offsets.shape}"
            )
        return logits, offsets, proposals

    def loss(outputs: Any, batch: Batch) -> Array:
        second = second_stage(outputs, batch)
        return second if "region_logits" not in outputs else first_stage(outputs, batch) + second

    def detect(outputs: Any) -> Detections:
        logits, offsets, proposals = checked(outputs)
        n, k = proposals.shape[:2]
        each = jnp.broadcast_to(proposals[:, :, None], (n, k, classes, 4))
        found = clipped(decode(offsets[:, :, :classes], each, weights=code_weights), image_size)
        labels = jnp.broadcast_to(jnp.arange(classes, dtype=jnp.int32)[None, None], (n, k, classes))
        valid = jnp.broadcast_to(outputs["valid"][..., None], (n, k, classes))
        return detections(
            found.reshape(n, k * classes, 4),
            softmax(widened(logits))[..., :classes].reshape(n, k * classes),
            labels.reshape(n, k * classes),
            valid.reshape(n, k * classes),
            most=most,
            iou_threshold=iou_threshold,
            score_threshold=score_threshold,
            candidates=candidates,
        )

    return detection_task(loss, detect, classes=classes, capacity=capacity)


def _drawn(matches: Array, batch: Batch, seeds: tuple[int, int], *, size: int, fraction: float) -> tuple[Array, Array]:
    """Of the anchors [n, a] of each image those that are drawn with an object, and all that are drawn."""
    key = jax.random.fold_in(jax.random.key(seeds[0]), seeds[1])
    keys = jax.vmap(partial(example_key, key))(batch[EPOCH], batch[INDEX])
    draw = partial(sample_balanced, size=size, positive_fraction=fraction)
    positive, negative = jax.vmap(draw)(keys, matches)
    return positive, positive | negative


def _offset_costs(
    offsets: Array, positive: Array, anchors: Array, targets: Targets, weights: Weights, beta: float
) -> Array:
    """The cost of the offsets [n, a, 4] of anchors with an object; what it is of others nobody sums."""
    offsets = jnp.where(positive[..., None], offsets, 0)
    each = jnp.broadcast_to(anchors, offsets.shape)
    return box_costs(offsets, each, targets.boxes, code_weights=weights, beta=beta)
