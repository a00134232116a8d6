"""YOLO's grid: the loss of YOLOv3 object by object, in a loop over its terms as Darknet has them."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import models, nn
from fjdl.losses import ciou_loss
from fjdl.train.tasks import grid_detection

CLASSES, STRIDE, ROWS, COLUMNS = 2, 8.0, 3, 4
SHAPES = np.float32([[6, 6], [20, 8]])
OBJECTS = np.float32([[2, 3, 8, 10], [9, 1, 27, 9], [12, 0, 24, 10], [25, 17, 31, 23], [0, 0, 30, 22], [0, 0, 0, 0]])
BATCH = {
    "boxes": np.stack([OBJECTS, OBJECTS]),
    "labels": np.int32([[0, 1, 0, 1, 0, 0]] * 2),
    "valid": np.array([[True] * 5 + [False], [False] * 6]),
    "difficult": np.array([[False] * 4 + [True, False]] * 2),
}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def nats(logit: Any, target: float) -> Any:
    """Binary cross entropy."""
    return -(target * np.log(sigmoid(logit)) + (1 - target) * np.log(sigmoid(-logit)))


def box_of(output: np.ndarray, row: int, column: int, anchor: int) -> np.ndarray:
    t = output[row, column, anchor].astype(np.float64)
    x, y = (column + sigmoid(t[0])) * STRIDE, (row + sigmoid(t[1])) * STRIDE
    w, h = SHAPES[anchor] * np.exp(t[2:4])
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def iou(a: Any, b: Any) -> float:
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    areas = [np.prod(x[2:] - x[:2]) for x in (a, b)]
    return float(np.prod(sides) / (areas[0] + areas[1] - np.prod(sides)))


def of_darknet(output: np.ndarray, number: int, *, ignored: float) -> float:
    """The loss of one image, and each term where Darknet's `forward_yolo_layer` has its delta."""
    taken: dict[tuple[int, int, int], int] = {}
    for j in np.flatnonzero(BATCH["valid"][number] & ~BATCH["difficult"][number]):
        x0, y0, x1, y1 = OBJECTS[j]
        cell = int((y0 + y1) / 2 / STRIDE), int((x0 + x1) / 2 / STRIDE)
        at_origin = [iou(np.array([0, 0, x1 - x0, y1 - y0]), np.array([0, 0, *shape])) for shape in SHAPES]
        taken.setdefault((*cell, int(np.argmax(at_origin))), int(j))
    total = 0.0
    for place in np.ndindex(ROWS, COLUMNS, len(SHAPES)):
        t = output[place].astype(np.float64)
        if place not in taken:
            overlaps = [iou(box_of(output, *place), box) for box in OBJECTS[BATCH["valid"][number]]]
            total += 0 if max(overlaps, default=0) > ignored else nats(t[4], 0)
            continue
        x0, y0, x1, y1 = OBJECTS[taken[place]]
        total += nats(t[4], 1)
        total += sum(nats(t[5 + k], float(k == BATCH["labels"][number, taken[place]])) for k in range(CLASSES))
        scale = 2 - (x1 - x0) * (y1 - y0) / (ROWS * COLUMNS * STRIDE**2)
        center = (x0 + x1) / 2 / STRIDE - place[1], (y0 + y1) / 2 / STRIDE - place[0]
        sides = np.log(np.array([x1 - x0, y1 - y0]) / SHAPES[place[2]])
        total += scale * (nats(t[0], center[0]) + nats(t[1], center[1]) + 0.5 * ((t[2:4] - sides) ** 2).sum())
    return total / max(1, len(taken))


def test_the_loss_is_that_of_darknet_and_nothing_ignored_has_a_gradient(rng: np.random.Generator) -> None:
    """The third object has the place of the second, and the fifth, which is difficult, is only ignored."""
    outputs = rng.standard_normal((2, ROWS, COLUMNS, 2, 5 + CLASSES)).astype(np.float32)
    outputs[..., 2:4] *= 0.3
    task = grid_detection(CLASSES, SHAPES, stride=STRIDE, capacity=10, ignored=0.3)
    found = jax.jit(jax.value_and_grad(lambda y: (lambda v: (jnp.sum(v), v))(task.loss(y, BATCH)), has_aux=True))
    (_, values), gradient = found(outputs)
    np.testing.assert_allclose(values, [of_darknet(outputs[i], i, ignored=0.3) for i in range(2)], rtol=1e-5)
    silent = np.asarray(gradient == 0).all(axis=-1)
    assert silent[0].any()
    assert not silent[1].any()
    assert np.asarray(gradient[..., :4] != 0).all(axis=-1).sum() == 3
    step = 1e-2 * np.asarray(gradient)
    assert float(found(outputs - step)[0][0]) < float(values.sum())


def test_a_cost_of_boxes_stands_in_the_place_of_that_of_codes() -> None:
    """At three objects the box is that of code 0: its cell's middle with the anchor's shape."""
    outputs = np.zeros((2, ROWS, COLUMNS, 2, 5 + CLASSES), np.float32)
    with_boxes, without = (
        jax.jit(grid_detection(CLASSES, SHAPES, stride=STRIDE, capacity=10, box_cost=ciou_loss, box_weight=w).loss)
        for w in (2.0, 0.0)
    )
    middles = np.float32([[1, 1, 7, 7], [10, 0, 30, 8], [25, 17, 31, 23]])
    expected = 2 * float(jnp.sum(ciou_loss(jnp.asarray(middles), jnp.asarray(OBJECTS[[0, 1, 3]])))) / 3
    np.testing.assert_allclose(
        np.asarray(with_boxes(outputs, BATCH)) - np.asarray(without(outputs, BATCH)), [expected, 0], rtol=1e-4
    )


def test_what_is_found_has_the_product_of_both_probabilities() -> None:
    outputs = np.full((1, ROWS, COLUMNS, 2, 5 + CLASSES), -20, np.float32)
    outputs[0, 1, 2, 1] = [0.5, -1, 0.1, 0.2, 1.0, -20, 2.0]
    outputs[0, 2, 0, 0] = [0, 0, 2, 0, 3.0, 0.0, -20]
    task = grid_detection(CLASSES, SHAPES, stride=STRIDE, capacity=10, most=3)
    summary = task.loss.summary
    assert summary is not None
    assert summary.detections is not None
    found = summary.detections(jnp.asarray(outputs))
    assert found.valid.tolist() == [[True, True, False]]
    assert found.labels.tolist() == [[1, 0, 0]]
    np.testing.assert_allclose(found.scores[0], [sigmoid(1) * sigmoid(2), sigmoid(3) * 0.5, 0], rtol=1e-5)
    decoded = np.stack([box_of(outputs[0], 1, 2, 1), box_of(outputs[0], 2, 0, 0)])
    np.testing.assert_allclose(found.boxes[0, :2], np.clip(decoded, 0, [32, 24, 32, 24]), rtol=1e-5)


def test_a_network_of_the_zoo_gives_what_the_task_takes() -> None:
    backbone = partial(models.VGG, stages=(1, 1, 1), widths=(4, 6, 8))
    model = nn.pure(models.YOLO(CLASSES, backbone, "pool3", anchors=2, width=4))
    task, x = grid_detection(CLASSES, SHAPES, stride=STRIDE, capacity=10), jnp.zeros((2, 24, 32, 3))
    params, stats = jax.eval_shape(model.init, jax.random.key(0), x)
    values = jax.eval_shape(lambda p, s: task.loss(model.apply(p, s, x)[0], BATCH), params, stats)
    assert (values.shape, values.dtype) == ((2,), jnp.float32)


def test_outputs_and_shapes_of_another_form_are_refused() -> None:
    task = grid_detection(CLASSES, SHAPES, stride=STRIDE, capacity=10)
    with pytest.raises(ValueError, match=r"^the model must give outputs of shape \[n, rows, columns, 2, 7\], got "):
        task.loss(jnp.zeros((2, ROWS, COLUMNS, 3, 7)), BATCH)
    with pytest.raises(ValueError, match=r"^shapes must have the shape \[anchors, 2\], got \[2\]$"):
        grid_detection(CLASSES, SHAPES[0], stride=STRIDE, capacity=10)
