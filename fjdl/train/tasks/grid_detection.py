"""Detection by YOLO's grid: each cell predicts the objects whose centres lie in it."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl.boxes import (
    BACKGROUND,
    BETWEEN,
    Detections,
    area,
    class_detections,
    decode_in_cell_by_shape,
    encode_in_cell_by_shape,
    from_center_size,
    grid_cells,
    pairwise_iou,
)
from fjdl.checks import at_least, within
from fjdl.functional.activations import sigmoid
from fjdl.losses import sigmoid_cross_entropy
from fjdl.numerics import widened
from fjdl.train.recipe import Batch
from fjdl.train.tasks.base import Task
from fjdl.train.tasks.box_targets import (
    detection_task,
    learned_objects,
    masked_sum,
    object_counts,
    targets_of,
)
from fjdl.train.tasks.detection import BoxCost, clipped
from fjdl.typing import Array


def grid_detection(
    classes: int,
    shapes: Array,
    *,
    stride: float,
    capacity: int,
    ignored: float = 0.5,
    box_weight: float = 1.0,
    box_cost: BoxCost | None = None,
    most: int = 100,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.05,
    candidates: int | None = 1000,
) -> Task:
    """`[n, rows, columns, anchors, 5 + classes]` of `models.YOLO` against the boxes of a batch, as in `detection`.

    `shapes` `[anchors, 2]` are the (width, height) of the anchors and `stride` the side of a cell, in pixels. The five
    numbers are a code of `boxes.encode_in_cell_by_shape` and the logit of an object; the logits of classes follow.

    An object belongs to the cell of its centre and there to the anchor whose shape, around the same centre, has the
    highest IoU with it; of several objects at one place the first counts. Every other place is background, but not
    where its box overlaps a valid object with an IoU above `ignored`. The loss of an image is the sum of three parts
    divided by `max(1, objects)`, as in `detection`: the binary cross entropy of the logit of an object over all places
    that count, that of the classes at objects, and `box_weight` times that of the centre's two numbers, with its place
    in the cell as the target, and half of the squared error of the sides' two logarithms, both times
    `2 - width · height / (image's area)`. `box_cost` of boxes and targets, such as `losses.ciou_loss`, can stand in the
    place of the last. Redmon and Farhadi 2018 (YOLOv3), arXiv:1804.02767, §2.1, where the sum is not divided.

    In version 1 (2016, arXiv:1506.02640, (3)) boxes have the code of `boxes.encode_in_cell`, with the roots of sides.
    Of the boxes of a cell the one of highest IoU with the object answers for it. The loss is the sum of 5 times the
    squared error of the four numbers of these boxes, the squared error of their confidence, whose target is that IoU,
    half of the squared confidence of all other boxes, and the squared errors of the classes in cells with an object.

    Scores of what is found are `σ(object) σ(class)`. Results, summary and `capacity` are those of `detection`. Raises
    `ValueError` for outputs of another shape than shapes and classes have, and for options out of range.
    """
    within("(0, inf)", stride=stride)
    within("[0, 1]", ignored=ignored)
    within("[0, inf)", box_weight=box_weight)
    at_least(1, classes=classes)
    sides = np.asarray(shapes, np.float32)
    if sides.ndim != 2 or sides.shape[1] != 2:
        raise ValueError(f"shapes must have the shape [anchors, 2], got {list(sides.shape)}")

    def parts(outputs: Array) -> _Predicted:
        if outputs.ndim != 5 or outputs.shape[3:] != (len(sides), 5 + classes):
            raise ValueError(
                f"the model must give outputs of shape [n, rows, columns, {len(sides)}, {5 + classes}], got "
                f"{list(outputs.shape)}"
            )
        wide = widened(outputs).reshape(outputs.shape[0], -1, 5 + classes)
        grid = _Grid((outputs.shape[1], outputs.shape[2]), sides, stride)
        return _Predicted(grid, wide[..., :4], wide[..., 4], wide[..., 5:])

    def loss(outputs: Array, batch: Batch) -> Array:
        grid, codes, objects, scores = parts(outputs)
        matches = jax.vmap(partial(_matches, grid, ignored=ignored))(
            lax.stop_gradient(grid.decode(codes)), batch["boxes"], batch["valid"], learned_objects(batch)
        )
        targets = targets_of(matches, batch)
        positive = targets.positive
        found = sigmoid_cross_entropy(jnp.where(targets.counted, objects, 0), positive.astype(objects.dtype))
        named = sigmoid_cross_entropy(
            jnp.where(positive[..., None], scores, 0), jax.nn.one_hot(targets.labels, classes, dtype=scores.dtype)
        )
        codes = jnp.where(positive[..., None], codes, 0)
        if box_cost is None:
            costs = _code_costs(grid, codes, targets.boxes)
        else:
            costs = box_cost(grid.decode(codes), targets.boxes)
        total = masked_sum(found, targets.counted) + masked_sum(jnp.sum(named, axis=-1) + box_weight * costs, positive)
        return total / object_counts(positive)

    def detect(outputs: Array) -> Detections:
        grid, codes, objects, scores = parts(outputs)
        return class_detections(
            clipped(grid.decode(codes), grid.image),
            sigmoid(objects)[..., None] * sigmoid(scores),
            most=most,
            iou_threshold=iou_threshold,
            score_threshold=score_threshold,
            candidates=candidates,
        )

    return detection_task(loss, detect, classes=classes, capacity=capacity)


class _Grid(NamedTuple):
    """The places of predictions, by rows, columns and anchors of a cell."""

    size: tuple[int, int]  # rows and columns
    sides: np.ndarray  # [anchors, 2]
    stride: float

    @property
    def image(self) -> tuple[float, float]:
        """Height and width in pixels."""
        return self.size[0] * self.stride, self.size[1] * self.stride

    def places(self, images: int) -> tuple[Array, Array]:
        """The cell and the shape of each place, [images, places, 2] both."""
        cells = np.stack(np.meshgrid(*map(np.arange, self.size), indexing="ij"), axis=-1).reshape(-1, 2)
        both = np.repeat(cells, len(self.sides), axis=0).astype(np.int32), np.tile(self.sides, (len(cells), 1))
        cell, shape = (jnp.broadcast_to(jnp.asarray(x), (images, *x.shape)) for x in both)
        return cell, shape

    def decode(self, codes: Array) -> Array:
        """Corners of the codes [images, places, 4]."""
        return decode_in_cell_by_shape(codes, *self.places(codes.shape[0]), stride=self.stride)

    def encode(self, boxes: Array) -> Array:
        """The codes that corners [images, places, 4] have at their places."""
        return encode_in_cell_by_shape(boxes, *self.places(boxes.shape[0]), stride=self.stride)

    def place_of(self, boxes: Array) -> Array:
        """The number of the place to which each of the boxes [m, 4] belongs, int32 [m]."""
        cells = grid_cells(boxes, size=self.size, stride=self.stride)
        both = boxes[:, 2:] - boxes[:, :2], jnp.asarray(self.sides)
        around = [from_center_size(jnp.concatenate([jnp.zeros_like(x), x], axis=1)) for x in both]
        nearest = jnp.argmax(pairwise_iou(*around), axis=1).astype(jnp.int32)
        return (cells[:, 0] * self.size[1] + cells[:, 1]) * len(self.sides) + nearest


class _Predicted(NamedTuple):
    """What the model gives at each place, float32."""

    grid: _Grid
    codes: Array  # [n, places, 4]
    objects: Array  # logits [n, places]
    scores: Array  # logits [n, places, classes]


def _matches(grid: _Grid, found: Array, boxes: Array, valid: Array, learned: Array, *, ignored: float) -> Array:
    """The object of each place of an image, whose boxes are found there: the first of several; int32 [places]."""
    boxes, places = widened(boxes), jnp.arange(found.shape[0], dtype=jnp.int32)
    here = (grid.place_of(boxes)[:, None] == places[None]) & learned[:, None]
    seen = jnp.any((pairwise_iou(boxes, found) > ignored) & valid.astype(bool)[:, None], axis=0)
    first = jnp.argmax(here, axis=0).astype(jnp.int32)
    return jnp.where(jnp.any(here, axis=0), first, jnp.where(seen, BETWEEN, BACKGROUND))


def _code_costs(grid: _Grid, codes: Array, boxes: Array) -> Array:
    """The loss of YOLOv3 on the codes [n, places, 4] of objects."""
    wanted = grid.encode(boxes)
    center = jnp.sum(sigmoid_cross_entropy(codes[..., :2], sigmoid(wanted[..., :2])), axis=-1)
    sides = jnp.sum(jnp.square(codes[..., 2:] - wanted[..., 2:]), axis=-1) / 2
    height, width = grid.image
    return (2 - area(boxes) / (height * width)) * (center + sides)
