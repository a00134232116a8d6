"""Detectors of two stages: their parts beside PyTorch's, proposals, and what a training step sees."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fjdl import models, nn, tree
from fjdl.functional import roi_align, roi_pool
from fjdl.models.detection.two_stage import region_proposals
from tests.models.parity import random_variables
from tests.train.detection_oracles import box_iou, decode

KEY = jax.random.key(0)
VGG = partial(models.VGG, stages=(1, 1, 1), widths=(4, 6, 8))


def test_faster_rcnn_has_the_parameters_of_torchvisions() -> None:
    """torchvision's `fasterrcnn_resnet50_fpn` has 41,755,286 for 91 classes, with frozen norms and the background."""
    network = models.faster_rcnn_resnet50(90)
    x = jax.ShapeDtypeStruct((1, 96, 64, 3), jnp.float32)
    outputs, variables = jax.eval_shape(network.init_with_output, KEY, x)
    params = variables["params"]
    norms = sum(
        leaf.size for leaf, name in zip(jax.tree.leaves(params), tree.names(params), strict=True) if "norm" in name
    )
    assert tree.count(params) - norms == 41_755_286
    anchors = 3 * (24 * 16 + 12 * 8 + 6 * 4 + 3 * 2 + 2 * 1)
    assert {name: y.shape for name, y in outputs.items()} == {
        "region_logits": (1, anchors),
        "region_offsets": (1, anchors, 4),
        "proposals": (1, 1000, 4),
        "valid": (1, 1000),
        "logits": (1, 1000, 91),
        "offsets": (1, 1000, 91, 4),
    }


def test_the_head_of_regions_orders_anchors_as_torchvision_does(rng: np.random.Generator) -> None:
    """`RPNHead`, and `permute_and_flatten` of what it gives."""
    maps = [rng.standard_normal((2, *shape, 3)).astype(np.float32) for shape in ((4, 3), (2, 2))]
    head = models.RegionHead(2, 5)
    apply = nn.method(head, "__call__")
    drawn = nn.Model(lambda key, maps: (head.init(key, maps)["params"], {}), apply)
    params, _ = random_variables(drawn, maps)
    logits, offsets = jax.jit(apply)(params, {}, maps)

    def conv(x: torch.Tensor, name: str) -> torch.Tensor:
        kernel = torch.tensor(np.transpose(params[name]["kernel"], (3, 2, 0, 1)))
        return F.conv2d(x, kernel, torch.tensor(params[name]["bias"]), padding=kernel.shape[-1] // 2)

    for start, x in zip((0, 24), maps, strict=True):
        shared = F.relu(conv(torch.tensor(np.moveaxis(x, -1, 1)), "conv"))
        for found, name, numbers in ((logits[..., None], "scores", 1), (offsets, "boxes", 4)):
            y = conv(shared, name)
            n, _, h, w = y.shape
            expected = y.view(n, -1, numbers, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, numbers)
            part = found[:, start : start + expected.shape[1]]
            np.testing.assert_allclose(part, expected.numpy(), rtol=1e-4, atol=1e-5)


def of_torchvision(logits: Any, offsets: Any, anchors: Any, counts: list[int], candidates: int, most: int) -> Any:
    """`RegionProposalNetwork.filter_proposals` of one image of 24 x 32, with a loop for its suppression."""
    proposals = decode(torch.tensor(offsets), torch.tensor(anchors), (1.0, 1.0, 1.0, 1.0))
    limits = torch.tensor([32, 24, 32, 24])
    proposals = torch.minimum(proposals.clamp(min=0), limits)
    chosen, levels, start = [], [], 0
    for level, count in enumerate(counts):
        best = torch.tensor(logits[start : start + count]).topk(min(candidates, count)).indices + start
        chosen.append(best)
        levels += [level] * len(best)
        start += count
    places, levels = torch.cat(chosen), np.array(levels)
    boxes, scores = proposals[places], logits[places.numpy()]
    large = ((boxes[:, 2:] - boxes[:, :2]) >= 1e-3).all(dim=1).numpy()
    overlaps, kept = box_iou(boxes, boxes).numpy(), []
    for i in np.argsort(-scores, kind="stable"):
        if large[i] and all(levels[i] != levels[j] or overlaps[i, j] <= 0.7 for j in kept):
            kept.append(int(i))
    return boxes[kept[:most]].numpy()


def test_proposals_are_those_of_torchvision(rng: np.random.Generator) -> None:
    counts = [24, 6]
    centers = rng.uniform(-4, 34, (30, 2))
    anchors = np.concatenate([centers - 6, centers + 6], axis=1).astype(np.float32)
    anchors[0] = [-9, -9, -3, -3]  # outside, whatever its offsets
    logits = rng.standard_normal((2, 30)).astype(np.float32)
    logits[0, 0] = 9
    offsets = 0.3 * rng.standard_normal((2, 30, 4)).astype(np.float32)
    offsets[:, 0] = 0
    offsets[1, 1:4] = 0
    anchors[1:4] = anchors[1] + np.float32([[0], [0.2], [0.4]])  # suppress one another
    find = jax.jit(partial(region_proposals, counts=counts, image_size=(24, 32), candidates=20, most=12))
    boxes, valid = find(logits, offsets, anchors)
    assert boxes.shape == (2, 12, 4)
    for i in range(2):
        expected = of_torchvision(logits[i], offsets[i], anchors, counts, 20, 12)
        assert int(valid[i].sum()) == len(expected)
        np.testing.assert_allclose(boxes[i, : len(expected)], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(boxes[i, len(expected) :], 0)


NETWORK = models.FasterRCNN(
    2, VGG, ("stage2", "stage3"), stride=2, width=4, sizes=(4.0, 8.0, 16.0), ratios=(1.0,), candidates=8,
    proposals=5, training_proposals=6, pooled=2, hidden=8, canonical_size=56.0,
)  # fmt: skip


@pytest.mark.by_day_on_pin(1)
def test_in_training_objects_are_proposals_and_every_parameter_learns() -> None:
    image = jax.random.normal(KEY, (2, 16, 12, 3))
    truth = {
        "boxes": jnp.array(
            [[[1.0, 2.0, 7.0, 9.0], [0.0, 0.0, 0.0, 0.0]], [[2.0, 2.0, 5.0, 8.0], [4.0, 4.0, 9.0, 9.0]]]
        ),
        "valid": jnp.array([[True, False], [True, True]]),
    }
    inputs, model = {"image": image, **truth}, nn.pure(NETWORK)
    params, stats = random_variables(model, inputs)

    @jax.jit
    def step(params: Any) -> Any:
        def loss(params: Any) -> Any:
            outputs, _ = model.apply(params, stats, inputs, train=True, key=KEY)
            learned = [y for name, y in outputs.items() if name not in ("proposals", "valid")]
            return sum(jnp.sum(jnp.sin(y)) for y in learned), outputs

        return jax.grad(loss, has_aux=True)(params)

    gradient, outputs = step(params)
    assert outputs["proposals"].shape == (2, 8, 4)
    np.testing.assert_array_equal(outputs["proposals"][:, 6:], truth["boxes"])
    np.testing.assert_array_equal(outputs["valid"][:, 6:], truth["valid"])
    assert bool(outputs["valid"][:, :1].all())
    assert outputs["logits"].shape == (2, 8, 3)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradient))
    anchors = models.faster_rcnn_anchors(NETWORK, (16, 12))
    assert outputs["region_logits"].shape == (2, len(anchors))
    found = jax.eval_shape(lambda inputs: model.apply(params, stats, inputs)[0], inputs)
    assert found["proposals"].shape == (2, 5, 4)


@pytest.mark.parametrize("pool", [roi_align, roi_pool])
def test_fast_rcnn_gives_dense_layers_of_what_is_cut_out_of_its_features(pool: Any, rng: np.random.Generator) -> None:
    inputs = {
        "image": rng.standard_normal((2, 12, 12, 3)).astype(np.float32),
        "proposals": np.float32([[[0, 0, 8, 8], [2, 2, 10, 9]], [[4, 0, 9, 9], [0, 0, 0, 0]]]),
        "valid": np.array([[True, True], [True, False]]),
    }
    model = nn.pure(models.FastRCNN(2, VGG, "pool1", stride=2, pool=pool, pooled=2, hidden=5))
    params, stats = random_variables(model, inputs)
    outputs, _ = jax.jit(model.apply)(params, stats, inputs)
    np.testing.assert_array_equal(outputs["proposals"], inputs["proposals"])
    np.testing.assert_array_equal(outputs["valid"], inputs["valid"])
    features = nn.pure(VGG(), outputs=("pool1",))
    whole, _ = random_variables(features, inputs["image"])
    maps, _ = jax.jit(features.apply)({**whole, **params["backbone"]}, {}, inputs["image"])
    y = np.asarray(pool(maps["pool1"], inputs["proposals"], size=2, scale=0.5)).reshape(2, 2, 16)
    head = params["boxes"]
    for name in ("hidden0", "hidden1"):
        y = np.maximum(y @ head[name]["kernel"] + head[name]["bias"], 0)
    for name, found in (("scores", outputs["logits"]), ("boxes", outputs["offsets"].reshape(2, 2, 12))):
        np.testing.assert_allclose(found, y @ head[name]["kernel"] + head[name]["bias"], rtol=1e-4, atol=1e-4)
