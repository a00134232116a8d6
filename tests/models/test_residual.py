from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import tree
from fjdl.models.residual import (
    BasicBlock,
    BottleneckBlock,
    PreActivationBasicBlock,
    PreActivationBottleneckBlock,
    ProjectionShortcut,
    ZeroPadShortcut,
    ZeroScaleBatchNorm,
)
from fjdl.models.resnet import ResidualStage
from fjdl.nn import BatchNorm, pure
from fjdl.transfer.layout import Layout
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.twins.resnet import PreBottleneck

KEY = jax.random.key(0)
BLOCKS = [BasicBlock, BottleneckBlock, PreActivationBasicBlock, PreActivationBottleneckBlock]
SHORTCUTS = [ProjectionShortcut, ZeroPadShortcut, partial(ProjectionShortcut, always=True)]
PRE_BOTTLENECK = Layout(
    ((r"block(\d)/shortcut/conv", r"\1.around"), (r"block(\d)/(conv\d)", r"\1.\2"), (r"block(\d)/(norm\d)", r"\1.\2"))
)


@pytest.mark.parametrize("activated", [False, True])
def test_bottlenecks_with_pre_activation_equal_torch(rng: np.random.Generator, activated: bool) -> None:
    x = rng.standard_normal((2, 5, 4, 6)).astype(np.float32)
    stage = ResidualStage(PreActivationBottleneckBlock, 2, 3, stride=2, activated=activated)
    twin = torch.nn.Sequential(PreBottleneck(6, 3, 2, activated), PreBottleneck(12, 3, 1, False))
    assert_equals_twin(pure(stage), twin, x, PRE_BOTTLENECK)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_odd_sizes_are_halved_upwards_on_both_ways(block: Any, shortcut: Any) -> None:
    module = block(4, stride=2, shortcut=shortcut)
    x = jnp.zeros((1, 7, 5, 3))
    _, stats = variables = jax.eval_shape(pure(module).init, KEY, x)
    outputs, after = jax.eval_shape(partial(pure(module).apply, train=True), *variables, x, key=KEY)
    assert outputs.shape == (1, 4, 3, 16 if "Bottleneck" in block.__name__ else 4)
    assert jax.tree.structure(after) == jax.tree.structure(stats)


def test_the_options_differ_in_where_they_project() -> None:
    def parts(shortcut: Any, block: Any = BasicBlock) -> list[str]:
        stage = ResidualStage(partial(block, shortcut=shortcut), 2, 4, stride=2)
        params, _ = jax.eval_shape(pure(stage).init, KEY, jnp.zeros((1, 4, 4, 2)))
        return sorted({name.rpartition("/")[0] for name in tree.names(params) if "shortcut" in name})

    a, b, c = SHORTCUTS
    first, second = ["block0/shortcut/conv", "block0/shortcut/norm"], ["block1/shortcut/conv", "block1/shortcut/norm"]
    assert (parts(a), parts(b), parts(c)) == (first, [], first + second)
    assert parts(a, PreActivationBasicBlock) == first[:1]


def test_zero_padding_subsamples_and_adds_channels_on_both_sides() -> None:
    x = jnp.arange(1.0, 19.0).reshape(1, 3, 3, 2)
    (image,) = ZeroPadShortcut(5, stride=2).apply({}, x)  # type: ignore[misc]
    rows = [[[0, a, a + 1, 0, 0] for a in pair] for pair in ((1.0, 5.0), (13.0, 17.0))]
    np.testing.assert_array_equal(image, rows)


def test_zero_padding_takes_no_channels_away() -> None:
    with pytest.raises(ValueError, match="features must be at least the channels, 2, got 1"):
        ZeroPadShortcut(1).apply({}, jnp.zeros((1, 3, 3, 2)))


@pytest.mark.parametrize(("block", "features"), [(BasicBlock, 4), (BottleneckBlock, 1)])
def test_a_block_whose_last_scale_starts_at_0_starts_as_its_shortcut(block: Any, features: int) -> None:
    x = jax.random.normal(KEY, (2, 3, 3, 4))
    model = pure(block(features, last_norm=ZeroScaleBatchNorm))
    outputs, params = jax.jit(lambda x: (model.apply(*model.init(KEY, x), x, train=True)[0], model.init(KEY, x)[0]))(x)
    np.testing.assert_array_equal(outputs, jnp.maximum(x, 0))
    scales = [float(part["scale"][0]) for name, part in sorted(params.items()) if name.startswith("norm")]
    assert scales == [1.0] * (len(scales) - 1) + [0.0]


def test_a_scale_of_zero_changes_only_the_start() -> None:
    x = jax.random.normal(KEY, (4, 3))
    zero, one = pure(ZeroScaleBatchNorm(momentum=0.5)), pure(BatchNorm(momentum=0.5))
    params, stats = random_variables(one, x)
    for train in (False, True):
        results = [jax.jit(partial(model.apply, train=train))(params, stats, x) for model in (zero, one)]
        jax.tree.map(np.testing.assert_array_equal, *results)


def test_the_first_block_of_a_stage_takes_what_is_activated() -> None:
    shapes = jax.eval_shape(
        pure(ResidualStage(PreActivationBasicBlock, 2, 4, activated=True)).init, KEY, jnp.zeros((1, 4, 4, 4))
    )[0]
    assert sorted(shapes["block0"]) == ["conv1", "conv2", "norm2"]
    assert sorted(shapes["block1"]) == ["conv1", "conv2", "norm1", "norm2"]
