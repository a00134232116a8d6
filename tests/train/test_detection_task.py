"""Detection by anchors: its loss beside torchvision's RetinaNet, what it finds and how that is measured."""

from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import augment, boxes, losses, metrics, models, nn, optim, schedules
from fjdl.data.source import Source, Splits, from_arrays
from fjdl.errors import DataError
from fjdl.train import Recipe, checkpoint
from fjdl.train.inspection import check_data
from fjdl.train.program import Program, compile_program
from fjdl.train.resident import place
from fjdl.train.tasks import detection
from fjdl.tree import digest
from tests.train import detection_oracles as oracles
from tests.train.toy import mesh

CLASSES, IMAGES, OBJECTS = 3, 3, 4
ANCHORS = boxes.pyramid_anchors(
    [boxes.anchor_shapes([6.0, 9.0], ratios=[1.0]), boxes.anchor_shapes([14.0, 20.0], ratios=[1.0])],
    sizes=[(4, 4), (2, 2)],
    strides=[8, 16],
)


def scenes(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return oracles.scenes(rng, np.asarray(ANCHORS), classes=CLASSES, objects=OBJECTS, spread=2.5)


def outputs_of(rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = (IMAGES, len(ANCHORS))
    return {
        "logits": rng.standard_normal((*shape, CLASSES)).astype(np.float32),
        "offsets": 0.5 * rng.standard_normal((*shape, 4)).astype(np.float32),
    }


def of_torchvision(outputs: dict[str, torch.Tensor], batch: dict[str, np.ndarray], cost: Any) -> torch.Tensor:
    """`RetinaNetClassificationHead.compute_loss` and that of the regression head: one value for each image."""
    anchors, found = torch.tensor(np.asarray(ANCHORS)), []
    for i in range(IMAGES):
        valid = torch.tensor(batch["valid"][i])
        objects, labels = torch.tensor(batch["boxes"][i])[valid], torch.tensor(batch["labels"][i])[valid].long()
        matches = oracles.matcher(oracles.box_iou(objects, anchors), 0.4, 0.5, low_quality=True)
        positive, targets = matches >= 0, torch.zeros(len(anchors), CLASSES)
        targets[positive, labels[matches[positive]]] = 1
        counted = matches != oracles.BETWEEN
        total = oracles.focal(outputs["logits"][i][counted], targets[counted]).sum()
        costs = cost(outputs["offsets"][i][positive], anchors[positive], objects[matches[positive]])
        found.append((total + costs.sum()) / max(1, int(positive.sum())))
    return torch.stack(found)


def absolute(offsets: torch.Tensor, anchors: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
    return (offsets - oracles.encode(objects, anchors, (1.0, 1.0, 1.0, 1.0))).abs()


def generalized(offsets: torch.Tensor, anchors: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
    return 2 * oracles.giou_loss(oracles.decode(offsets, anchors, (10.0, 10.0, 5.0, 5.0)), objects)


COSTS = {
    "l1": (absolute, {"beta": 0.0}),
    "giou": (
        generalized,
        {"box_cost": losses.giou_loss, "box_weight": 2.0, "code_weights": (10.0, 10.0, 5.0, 5.0)},
    ),
}


@pytest.mark.parametrize("name", COSTS)
def test_the_loss_of_an_image_is_torchvisions_and_nothing_else_has_a_gradient(
    name: str, rng: np.random.Generator
) -> None:
    cost, options = COSTS[name]
    task = detection(CLASSES, ANCHORS, capacity=10, **options)
    batch, outputs = scenes(rng), outputs_of(rng)
    found = jax.jit(jax.value_and_grad(lambda y: (lambda v: (jnp.sum(v), v))(task.loss(y, batch)), has_aux=True))
    (_, values), gradient = found(outputs)
    theirs = {key: torch.tensor(value, requires_grad=True) for key, value in outputs.items()}
    expected = of_torchvision(theirs, batch, cost)
    expected.sum().backward()
    np.testing.assert_allclose(values, expected.detach().numpy(), rtol=2e-5)
    for key, value in gradient.items():
        slope = theirs[key].grad
        assert slope is not None
        np.testing.assert_allclose(value, slope.numpy(), rtol=1e-4, atol=1e-6)
    idle = np.asarray(gradient["offsets"] == 0).all(axis=-1)
    assert idle[2].all()
    assert not idle[0].all()
    spoiled = {**outputs, "offsets": np.where(idle[..., None], np.nan, outputs["offsets"])}
    unused = np.asarray(gradient["logits"] == 0).all(axis=-1)
    assert unused.any()
    spoiled["logits"] = np.where(unused[..., None], np.nan, outputs["logits"])
    (_, again), slopes = found(spoiled)
    np.testing.assert_array_equal(again, values)
    for key, value in slopes.items():
        np.testing.assert_array_equal(value, gradient[key])


@pytest.mark.parametrize("options", [{}, {"match": boxes.match_bipartite}], ids=["RetinaNet", "SSD"])
def test_crowds_and_difficult_objects_are_neither_learned_nor_background(options: dict[str, Any]) -> None:
    """Six anchors: on the object; on the difficult one and half on it; in the crowd; 30 % of it in there; apart."""
    anchors = np.float32([[0, 0, 4, 4], [10, 0, 14, 4], [12, 0, 16, 4], [22, 2, 24, 4], [27, 0, 37, 4], [60, 0, 64, 4]])
    batch = {
        "boxes": np.float32([[[0, 0, 4, 4], [10, 0, 14, 4], [20, 0, 30, 10], [0, 0, 0, 0]]]),
        "labels": np.int32([[1, 1, 1, 0]]),
        "valid": np.array([[True, True, True, False]]),
        "difficult": np.array([[False, True, False, True]]),
        "crowd": np.array([[False, False, True, True]]),
    }
    task = detection(2, anchors, capacity=10, **options)
    outputs = {"logits": np.zeros((1, 6, 2), np.float32), "offsets": np.zeros((1, 6, 4), np.float32)}
    gradient = jax.jit(jax.grad(lambda y: jnp.sum(task.loss(y, batch))))(outputs)["logits"][0]
    assert (np.asarray(gradient[:, 1]) < 0).tolist() == [True, False, False, False, False, False]
    assert (np.asarray(gradient[:, 0]) > 0).tolist() == [True, False, True, False, True, True]


@pytest.mark.by_day_on_pin(1)
def test_what_is_found_is_decoded_cut_off_suppressed_and_measured(rng: np.random.Generator) -> None:
    task, batch = detection(CLASSES, ANCHORS, capacity=100, image_size=(32, 32), most=6), scenes(rng)
    offsets = np.array(outputs_of(rng)["offsets"]) / 2
    logits = np.full((IMAGES, len(ANCHORS), CLASSES), -9, np.float32)
    for image in range(IMAGES):
        for anchor in rng.choice(len(ANCHORS), 5, replace=False):
            logits[image, anchor, rng.integers(CLASSES)] = rng.standard_normal()
    for j in range(4):  # an anchor on each object of the first image
        logits[0, j], offsets[0, j] = -9, np.array(boxes.encode(batch["boxes"][0, j], ANCHORS[j]))
        logits[0, j, batch["labels"][0, j]] = 2 - j
    outputs = {"logits": jnp.asarray(logits), "offsets": jnp.asarray(offsets)}
    summary = task.loss.summary
    assert summary is not None
    assert summary.detections is not None
    found = summary.detections(outputs)
    assert found.boxes.shape == (IMAGES, 6, 4)
    assert 0 <= float(found.boxes.min()) <= float(found.boxes.max()) <= 32
    np.testing.assert_allclose(found.scores[0, 0], 1 / (1 + np.exp(-max(2.0, logits[0].max()))), rtol=1e-5)
    decoded = oracles.decode(torch.tensor(offsets[1]), torch.tensor(np.asarray(ANCHORS)), (1.0,) * 4).clamp(0, 32)
    best = int(logits[1].max(axis=1).argmax())
    np.testing.assert_allclose(found.boxes[1, 0], decoded[best].numpy(), rtol=1e-4, atol=1e-4)
    assert int(found.labels[1, 0]) == int(logits[1, best].argmax())
    update = jax.jit(lambda states: {k: m.update(states[k], outputs, batch) for k, m in task.metrics.items()})
    states = update({name: metric.init() for name, metric in task.metrics.items()})
    results = {name: metric.compute(states[name]) for name, metric in task.metrics.items()}
    arrays = [jax.device_get(found)._asdict(), batch]
    voc = metrics.voc_evaluation(*arrays, classes=CLASSES)
    coco = metrics.coco_summary(metrics.coco_evaluation(*arrays, classes=CLASSES))
    np.testing.assert_allclose(results["map50"], voc.mean_all_points, rtol=1e-5)
    np.testing.assert_allclose(results["class_precision"], voc.all_points, rtol=1e-5)
    np.testing.assert_allclose(results["coco"], coco, rtol=1e-5)
    assert float(results["map50"]) > 0.2
    told = summary.numbers(results)
    named = [told["map"], told["coco_map50"], told["recall_100"]]
    np.testing.assert_allclose(named, [coco.ap, coco.ap_50, coco.ar_100], rtol=1e-5)


def test_outputs_of_other_anchors_are_refused() -> None:
    task, empty = detection(3, ANCHORS[:5], capacity=10), scenes(np.random.default_rng(0))
    outputs = {"logits": jnp.zeros((2, 5, 4)), "offsets": jnp.zeros((2, 5, 4))}
    with pytest.raises(ValueError, match=r"shapes \(2, 5, 3\) and \(2, 5, 4\), got \(2, 5, 4\) and \(2, 5, 4\)$"):
        task.loss(outputs, empty)
    with pytest.raises(ValueError, match=r"^anchors must have the shape \[a, 4\], got \[4\]$"):
        detection(3, ANCHORS[0], capacity=10)


EPOCHS = 100
NETWORK = models.SSD(2, widths=(4, 6), first=1, anchors=4)


def recipe(source: Source, **changes: Any) -> Recipe:
    task = detection(2, models.ssd_anchors(NETWORK, (16, 16), least=0.4, ratios=(2.0,)), capacity=800)
    settings: dict[str, Any] = {
        "splits": lambda: Splits(name="squares", train=source, validation=source, test=source, classes=("a", "b")),
        "model": nn.pure(NETWORK),
        "inputs": lambda batch: batch["image"].astype(jnp.float32) / 255,
        "loss": task.loss,
        "metrics": {"map50": task.metrics["map50"]},
        "augment": augment.each_example(augment.random_mirror_sample, augment.random_flip_vertical_sample),
        "optimizer": lambda steps: optim.adam(schedules.cosine(peak=1e-2, steps=steps)),
        "epochs": EPOCHS,
        "batch_size": 4,
        "monitor": "map50",
    }
    return Recipe(**{**settings, **changes})


def squares(rng: np.random.Generator, *, corner: float = 0.0) -> Source:
    """Bright squares on black, one or two, with places for three boxes."""
    images, found = np.zeros((8, 16, 16, 3), np.uint8), np.zeros((8, 3, 4), np.float32)
    labels, valid = np.zeros((8, 3), np.int32), np.zeros((8, 3), bool)
    for i in range(8):
        for j in range(1 + i % 2):
            x, y = rng.integers(0, 10, 2)
            labels[i, j], valid[i, j], found[i, j] = j, True, [x, y, x + 6, y + 6]
            images[i, y : y + 6, x : x + 6, j] = 255
    found[0, 0, 2] += corner
    return from_arrays({"image": images, "boxes": found, "labels": labels, "valid": valid})


@cache
def prepared() -> tuple[Program, Any]:
    """The program and its data; tests share what is compiled."""
    source = squares(np.random.default_rng(0))
    return compile_program(recipe(source), mesh(), examples=8, example=source.element(0)), place(source, mesh())


@pytest.mark.slow  # by day test_resume takes up the training of a classifier
def test_training_with_boxes_goes_on_from_a_checkpoint_with_the_same_bits(tmp_path: Path) -> None:
    program, arrays = prepared()
    first = jax.device_get(program.epoch(program.init(), arrays)[0])
    checkpoint.save(tmp_path, int(first.step), first)
    whole = jax.device_get(program.epoch(first, arrays)[0])
    taken_up, report = program.epoch(checkpoint.restore(tmp_path, first, step=int(first.step)), arrays)
    assert int(report.bad) == 0
    assert digest(jax.device_get(taken_up)) == digest(whole) != digest(first)


@pytest.mark.slow
def test_a_small_network_learns_where_squares_are_and_of_which_colour() -> None:
    program, arrays = prepared()
    state = program.init()
    assert float(program.evaluate(state, arrays)["map50"]) < 0.1
    for _ in range(EPOCHS):
        state, _ = program.epoch(state, arrays)
    assert float(program.evaluate(state, arrays)["map50"]) > 0.9


def test_boxes_that_do_not_ascend_and_labels_out_of_range_are_refused(rng: np.random.Generator) -> None:
    made = recipe(squares(rng, corner=-20.0))
    with pytest.raises(DataError, match=r"^train part, row 0: boxes must be finite corners that ascend, got "):
        check_data(made, made.splits())
    made = recipe(squares(rng), loss=detection(1, ANCHORS, capacity=1).loss)
    with pytest.raises(DataError, match=r"row 1: labels must lie in \[0, 1\), counted from 0, got 1 at \[1\]$"):
        check_data(made, made.splits())
