"""Detection in two stages: both losses beside torchvision's, what is drawn, and what is found."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fjdl import boxes, models, nn, optim, tree
from fjdl.data.source import Splits, from_arrays
from fjdl.functional.preprocessing import scale_pixels
from fjdl.train import Recipe
from fjdl.train.program import compile_program
from fjdl.train.resident import place
from fjdl.train.tasks import two_stage_detection
from fjdl.train.tasks.box_targets import learned_objects
from tests.train import detection_oracles as oracles
from tests.train.toy import mesh

CLASSES, IMAGES, OBJECTS, PROPOSALS = 3, 3, 4, 9
ANCHORS = boxes.grid_anchors(boxes.anchor_shapes([8.0, 14.0], ratios=[1.0]), size=(4, 4), stride=8)
WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def scenes(rng: np.random.Generator) -> dict[str, np.ndarray]:
    found = oracles.scenes(rng, np.asarray(ANCHORS), classes=CLASSES, objects=OBJECTS, spread=1.5)
    return {**found, "index": np.int32([7, 3, 5]), "epoch": np.zeros(IMAGES, np.int32)}


def outputs_of(rng: np.random.Generator, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The objects and boxes beside them as proposals; the last two are not valid."""
    near = np.concatenate([batch["boxes"], batch["boxes"] + rng.uniform(-1, 1, batch["boxes"].shape)], axis=1)
    ones = np.broadcast_to(np.float32([20, 20, 30, 31]), (IMAGES, 1, 4))
    proposals = np.concatenate([ones, near], axis=1).astype(np.float32)
    shape = (IMAGES, PROPOSALS)
    return {
        "region_logits": rng.standard_normal((IMAGES, len(ANCHORS))).astype(np.float32),
        "region_offsets": rng.standard_normal((IMAGES, len(ANCHORS), 4)).astype(np.float32),
        "proposals": proposals,
        "valid": np.broadcast_to(np.arange(PROPOSALS) < PROPOSALS - 2, shape)
        & np.concatenate([np.ones((IMAGES, 1), bool), batch["valid"], batch["valid"]], axis=1),
        "logits": rng.standard_normal((*shape, CLASSES + 1)).astype(np.float32),
        "offsets": rng.standard_normal((*shape, CLASSES + 1, 4)).astype(np.float32),
    }


def of_torchvision(outputs: dict[str, torch.Tensor], batch: dict[str, np.ndarray]) -> torch.Tensor:
    """`RegionProposalNetwork.compute_loss` and `fastrcnn_loss`, where all that can be drawn is drawn."""
    anchors, found = torch.tensor(np.asarray(ANCHORS)), []
    for i in range(IMAGES):
        valid = torch.tensor(batch["valid"][i])
        objects, labels = torch.tensor(batch["boxes"][i])[valid], torch.tensor(batch["labels"][i])[valid].long()
        matches = oracles.matcher(oracles.box_iou(objects, anchors), 0.3, 0.7, low_quality=True)
        positive, drawn = matches >= 0, matches != oracles.BETWEEN
        total = F.binary_cross_entropy_with_logits(outputs["region_logits"][i][drawn], positive[drawn].float())
        codes = oracles.encode(objects[matches[positive]], anchors[positive], (1.0, 1.0, 1.0, 1.0))
        moves = outputs["region_offsets"][i][positive]
        total = total + F.smooth_l1_loss(moves, codes, beta=1 / 9, reduction="sum") / drawn.sum()
        there = torch.tensor(np.asarray(outputs["valid"][i]))
        proposals = outputs["proposals"][i][there]
        matches = oracles.matcher(oracles.box_iou(objects, proposals), 0.5, 0.5, low_quality=False)
        positive = matches >= 0
        named = torch.full((len(proposals),), CLASSES)
        named[positive] = labels[matches[positive]]
        total = total + F.cross_entropy(outputs["logits"][i][there], named)
        codes = oracles.encode(objects[matches[positive]], proposals[positive], WEIGHTS)
        moves = outputs["offsets"][i][there][positive, named[positive]]
        total = total + F.smooth_l1_loss(moves, codes, beta=1 / 9, reduction="sum") / len(proposals)
        found.append(total)
    return torch.stack(found)


def test_the_loss_of_an_image_is_torchvisions_in_both_stages(rng: np.random.Generator) -> None:
    batch = scenes(rng)
    outputs = outputs_of(rng, batch)
    task = two_stage_detection(CLASSES, ANCHORS, capacity=10, region_samples=1000, samples=1000)
    fixed = {key: outputs[key] for key in ("proposals", "valid")}
    learned = {key: value for key, value in outputs.items() if key not in fixed}

    @jax.jit
    def found(learned: Any) -> Any:
        def loss(learned: Any) -> Any:
            values = task.loss({**learned, **fixed}, batch)
            return jnp.sum(values), values

        return jax.value_and_grad(loss, has_aux=True)(learned)

    (_, values), gradient = found(learned)
    theirs = {key: torch.tensor(value, requires_grad=key in learned) for key, value in outputs.items()}
    expected = of_torchvision(theirs, batch)
    expected.sum().backward()
    np.testing.assert_allclose(values, expected.detach().numpy(), rtol=2e-5)
    for key, value in gradient.items():
        slope = theirs[key].grad
        assert slope is not None
        np.testing.assert_allclose(value, slope.numpy(), rtol=1e-4, atol=1e-6)
    idle = {key: np.asarray(value == 0) for key, value in gradient.items()}
    spoiled = {key: np.where(idle[key], np.nan, value) for key, value in learned.items()}
    np.testing.assert_array_equal(found(spoiled)[0][1], values)


def test_what_is_drawn_depends_on_the_example_and_the_epoch_alone(rng: np.random.Generator) -> None:
    batch = scenes(rng)
    outputs = outputs_of(rng, batch)
    task = two_stage_detection(CLASSES, ANCHORS, capacity=10, region_samples=8, samples=4)
    loss = jax.jit(task.loss)
    values, order = np.asarray(loss(outputs, batch)), np.array([2, 0, 1])
    turned = [{key: value[order] for key, value in tree.items()} for tree in (outputs, batch)]
    np.testing.assert_array_equal(loss(*turned), values[order])
    later = np.asarray(loss(outputs, {**batch, "epoch": np.ones(IMAGES, np.int32)}))
    assert (later != values).all()
    slope = jax.jit(jax.grad(lambda y: jnp.sum(task.loss({**outputs, "region_logits": y}, batch))))
    drawn = np.asarray(slope(outputs["region_logits"]) != 0).sum(axis=1)
    assert drawn.tolist() == [8, 8, 8]


def test_each_class_finds_its_own_box_and_the_background_none() -> None:
    proposals = np.float32([[[0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 30, 30]]])
    offsets = np.zeros((1, 3, CLASSES + 1, 4), np.float32)
    offsets[0, 0, 1] = [2, 0, 0, 5 * np.log(2)]
    logits = np.full((1, 3, CLASSES + 1), -30, np.float32)
    logits[0, 0, [0, 1]] = 0
    logits[0, 1, [2, 3]] = [0, np.log(3)]
    logits[0, 2, 0] = 9
    outputs = {"proposals": proposals, "logits": logits, "offsets": offsets, "valid": np.array([[True, True, False]])}
    task = two_stage_detection(CLASSES, capacity=10, image_size=(12, 40), most=4)
    summary = task.loss.summary
    assert summary is not None
    assert summary.detections is not None
    found = summary.detections(jax.tree.map(jnp.asarray, outputs))
    assert found.valid.tolist() == [[True, True, True, False]]
    assert found.labels.tolist() == [[0, 1, 2, 0]]
    np.testing.assert_allclose(found.scores[0], [0.5, 0.5, 0.25, 0], rtol=1e-5)
    np.testing.assert_allclose(found.boxes[0, :3], [[0, 0, 10, 10], [2, 0, 12, 12], [20, 0, 30, 10]], atol=1e-4)


def test_regions_that_are_given_have_the_second_loss_alone_and_others_need_anchors(rng: np.random.Generator) -> None:
    batch = scenes(rng)
    outputs = outputs_of(rng, batch)
    second = {key: value for key, value in outputs.items() if not key.startswith("region")}
    task = two_stage_detection(CLASSES, capacity=10)
    assert (np.asarray(jax.jit(task.loss)(second, batch)) > 0).all()
    with pytest.raises(ValueError, match=r"^anchors must be as many as the model's 32, got None"):
        jax.eval_shape(task.loss, outputs, batch)
    with pytest.raises(ValueError, match=r"shapes \(3, 9, 3\) and \(3, 9, 3, 4\), got \(3, 9, 4\) and \(3, 9, 4, 4\)"):
        jax.eval_shape(two_stage_detection(2, capacity=10).loss, outputs, batch)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_faster_rcnn_is_trained_and_measured_in_both_precisions(precision: Any, rng: np.random.Generator) -> None:
    """Its training step and its evaluation are traced; layers are counted."""
    backbone = partial(models.VGG, stages=(1, 1, 1), widths=(4, 6, 8))
    network = models.FasterRCNN(
        CLASSES, backbone, ("stage2", "stage3"), stride=2, width=4, sizes=(4.0, 8.0, 16.0), candidates=8,
        proposals=5, training_proposals=6, pooled=2, hidden=8,
    )  # fmt: skip
    batch = {name: x for name, x in scenes(rng).items() if name not in ("index", "epoch")}
    source = from_arrays({"image": np.zeros((IMAGES, 16, 16, 3), np.uint8), **batch})
    task = two_stage_detection(CLASSES, models.faster_rcnn_anchors(network, (16, 16)), capacity=10)
    recipe = Recipe(
        splits=lambda: Splits(name="toy", train=source, validation=source, test=source, classes=tuple("abc")),
        model=nn.pure(network),
        inputs=lambda batch: {
            "image": scale_pixels(batch["image"]), "boxes": batch["boxes"], "valid": learned_objects(batch)
        },
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: optim.sgd(0.1),
        epochs=1,
        batch_size=IMAGES,
        monitor="map50",
        precision=precision,
    )  # fmt: skip
    program = compile_program(recipe, mesh(), examples=IMAGES, example=source.element(0))
    state, arrays = jax.eval_shape(program.init), place(source, mesh())
    _, report = jax.eval_shape(program.epoch, state, arrays)
    assert (report.loss.shape, report.loss.dtype) == ((), jnp.float32)
    results = jax.eval_shape(program.evaluate, state, arrays)
    assert {name: x.shape for name, x in results.items()} == {
        "map50": (), "class_precision": (CLASSES,), "coco": (12,), "loss": (),
    }  # fmt: skip
    layers = recipe.model.layers(recipe.seen(source.element(0)))
    assert sum(layer.parameters for layer in layers) == tree.count(state.params)
