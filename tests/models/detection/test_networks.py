"""Parts of detectors against PyTorch, with the same weights, and what whole ones give."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import models, nn, tree
from fjdl.functional.activations import sigmoid
from fjdl.transfer.layout import Layout, to_torch
from tests.models.parity import random_variables
from tests.models.twins import detection as twins

KEY = jax.random.key(0)
SAME_NAMES = Layout(((r"(.*)", lambda match: match[1].replace("/", ".")),))
VGG = partial(models.VGG, stages=(1, 1, 1), widths=(4, 6, 8))


def twin_of(twin: torch.nn.Module, params: Any) -> torch.nn.Module:
    twin.load_state_dict({name: torch.tensor(value) for name, value in to_torch(params, {}, SAME_NAMES).items()})
    return twin


def channels_first(x: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.moveaxis(x, -1, 1))


def test_the_pyramid_equals_torchvisions_for_levels_that_are_no_halves(rng: np.random.Generator) -> None:
    maps = [rng.standard_normal((1, *shape)).astype(np.float32) for shape in ((11, 9, 3), (6, 5, 4), (3, 2, 5))]
    pyramid = models.FPN(4, extra=2)
    drawn = nn.Model(lambda key, maps: (pyramid.init(key, maps)["params"], {}), apply=nn.method(pyramid, "__call__"))
    params, _ = random_variables(drawn, maps)
    levels = jax.jit(lambda params: drawn.apply(params, {}, maps))(params)
    with torch.no_grad():
        expected = twin_of(twins.FPN((3, 4, 5), 4, 2), params)([channels_first(x) for x in maps])
    assert len(levels) == len(expected) == 5
    for ours, theirs in zip(levels, expected, strict=True):
        np.testing.assert_allclose(np.moveaxis(ours, -1, 1), theirs.numpy(), rtol=1e-4, atol=1e-4)


def test_a_head_equals_torchvisions(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 5, 4, 3)).astype(np.float32)
    model = nn.pure(models.ConvHead(anchors=3, outputs=2, width=6, convs=2))
    params, _ = random_variables(model, x)
    found, _ = jax.jit(lambda params: model.apply(params, {}, x))(params)
    with torch.no_grad():
        expected = twin_of(twins.Head(3, 6, 2, 3, 2), params)(channels_first(x))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_retinanet_has_the_parameters_of_torchvisions() -> None:
    """torchvision's `retinanet_resnet50_fpn` has 34,014,999 for 91 classes, whose frozen norms have no parameters."""
    network = models.retinanet_resnet50(91)
    model, x = nn.pure(network), jax.ShapeDtypeStruct((1, 96, 64, 3), jnp.float32)
    params, stats = jax.eval_shape(model.init, KEY, x)
    norms = sum(
        leaf.size for leaf, name in zip(jax.tree.leaves(params), tree.names(params), strict=True) if "norm" in name
    )
    assert tree.count(params) - norms == 34_014_999
    outputs, _ = jax.eval_shape(model.apply, params, stats, x)
    anchors = 9 * (12 * 8 + 6 * 4 + 3 * 2 + 2 * 1 + 1)
    assert {name: y.shape for name, y in outputs.items()} == {"logits": (1, anchors, 91), "offsets": (1, anchors, 4)}


DETECTORS = {
    "RetinaNet": models.RetinaNet(3, VGG, ("stage2", "stage3"), extra=1, anchors=2, width=4, convs=1),
    "SSD": models.SSD(3, widths=(4, 4, 4), first=1, anchors=2),
}


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_starts_sure_that_objects_are_rare_and_learns(name: str) -> None:
    model, x = nn.pure(DETECTORS[name]), jax.random.normal(KEY, (2, 20, 16, 3))
    params, stats = jax.jit(model.init)(KEY, x)

    @jax.jit
    def step(params: Any) -> Any:
        def loss(params: Any) -> Any:
            outputs, moved = model.apply(params, stats, x, train=True, key=KEY)
            return sum(jnp.sum(jnp.sin(y)) for y in outputs.values()), (outputs, moved)

        return jax.grad(loss, has_aux=True)(params)

    gradient, (outputs, _) = step(params)
    assert outputs["logits"].shape[:2] == outputs["offsets"].shape[:2]
    np.testing.assert_allclose(sigmoid(outputs["logits"]), 0.01, atol=0.005)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


def test_grids_boxes_and_points_have_their_shapes() -> None:
    x = jax.random.normal(KEY, (2, 16, 24, 3))

    def outputs(network: Any) -> Any:
        model = nn.pure(network)
        params, stats = jax.jit(model.init)(KEY, x)
        return jax.jit(model.apply)(params, stats, x)[0]

    grid = outputs(models.YOLO(4, VGG, "pool2", anchors=2, width=8))
    assert grid.shape == (2, 4, 6, 2, 9)
    np.testing.assert_allclose(sigmoid(grid[..., 4]), 0.01, atol=0.005)
    np.testing.assert_allclose(sigmoid(grid[..., 5:]), 0.5, atol=0.1)
    found = outputs(models.Localizer(4, VGG, "stage3", pooled=2))
    assert found["logits"].shape == (2, 4)
    assert jnp.all((found["box"] > 0) & (found["box"] < 1))
    assert outputs(models.Landmarks(5, VGG, "stage3")).shape == (2, 5, 2)
