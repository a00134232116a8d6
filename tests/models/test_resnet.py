from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.models.residual import BasicBlock, BottleneckBlock, PreActivationBottleneckBlock, ZeroScaleBatchNorm
from fjdl.models.resnet import (
    RESNET_TORCHVISION,
    ImageNetStem,
    PreActivationResNet,
    ResNet,
    SmallStem,
    resnet18,
    resnet18_v2,
    resnet34,
    resnet34_v2,
    resnet50,
    resnet50_v1,
    resnet50_v2,
    resnet101,
    resnet101_v1,
    resnet101_v2,
    resnet152,
    resnet152_v2,
)
from fjdl.nn import BatchNorm, pure
from fjdl.transfer.layout import to_torch
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.twins import resnet as twins

KEY = jax.random.key(0)
IMAGE = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
TINY = partial(ResNet, stages=(1, 2), width=4, stem=partial(ImageNetStem, features=4), classes=10)


@pytest.mark.parametrize(
    ("block", "twin", "option"),
    [
        (BasicBlock, twins.Basic, False),
        (BottleneckBlock, twins.Bottleneck, False),
        (partial(BottleneckBlock, stride_first=True), twins.Bottleneck, True),
    ],
    ids=["basic", "stride on 3x3", "stride on 1x1"],
)
def test_it_equals_torch(rng: np.random.Generator, block: Any, twin: Any, option: bool) -> None:
    x = rng.standard_normal((2, 21, 16, 3)).astype(np.float32)
    network = twins.ResNet(twin, (1, 2), 4, option=option)
    assert_equals_twin(pure(TINY(block=block)), network, x, RESNET_TORCHVISION)


@pytest.mark.parametrize(
    ("network", "count", "keys"),
    [(resnet18, 11_689_512, 102), pytest.param(resnet50, 25_557_032, 267, marks=pytest.mark.slow)],
    ids=["18", "50"],
)
def test_parameters_are_those_of_the_table_under_torchvisions_names(network: Any, count: int, keys: int) -> None:
    params, stats = jax.eval_shape(pure(network()).init, KEY, IMAGE)
    assert tree.count(params) == count
    zeros = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), (params, stats))
    state = to_torch(*zeros, RESNET_TORCHVISION)
    assert len(state) == keys  # beside the counters of batches, one for each of the norms
    assert {"conv1.weight", "bn1.running_var", "layer4.1.bn2.bias", "layer2.0.downsample.1.weight"} <= state.keys()
    assert state["layer2.0.downsample.0.weight"].shape[1] == state["layer1.1.conv2.weight"].shape[0] * (
        4 if keys == 267 else 1
    )
    assert state["fc.weight"].shape == (1000, 512 if keys == 102 else 2048)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "count"),
    [
        (resnet34, 21_797_672),
        (resnet101, 44_549_160),
        (resnet152, 60_192_808),
        (resnet50_v1, 25_557_032),
        (resnet101_v1, 44_549_160),
        # With pre-activation the norms of the projections go: 2 (128 + 256 + 512), or 2 (256 + 512 + 1024 + 2048).
        (resnet18_v2, 11_689_512 - 1_792),
        (resnet34_v2, 21_797_672 - 1_792),
        (resnet50_v2, 25_549_352),
        (resnet101_v2, 44_541_480),
        (resnet152_v2, 60_192_808 - 7_680),
    ],
)
def test_the_table_counts_the_parameters_that_there_are(network: Any, count: int) -> None:
    model = pure(network())
    params, _ = jax.eval_shape(model.init, KEY, IMAGE)
    assert sum(row.parameters for row in model.layers(IMAGE)) == tree.count(params) == count


def test_parts_are_named_and_give_features() -> None:
    model = pure(
        resnet18(stem=partial(SmallStem, features=8), width=8), outputs=("stem", "stage1/block1", "stage2", "stage4")
    )
    x = jnp.zeros((2, 28, 28, 1))
    features, _ = jax.eval_shape(model.apply, *jax.eval_shape(model.init, KEY, x), x)
    assert {name: feature.shape for name, feature in features.items()} == {
        "stem": (2, 28, 28, 8),
        "stage1/block1": (2, 28, 28, 8),
        "stage2": (2, 14, 14, 16),
        "stage4": (2, 4, 4, 64),
    }


def test_a_small_stem_may_pool() -> None:
    model = pure(SmallStem(8, pool=2))
    variables = model.init(jax.random.key(0), jnp.zeros((1, 9, 8, 3)))
    assert model.apply(*variables, jnp.zeros((2, 9, 8, 3)), train=False)[0].shape == (2, 4, 4, 8)
    assert [layer.name for layer in model.layers(jnp.zeros((1, 9, 8, 3)))] == ["conv", "pool", "norm"]


def test_every_norm_is_the_one_that_is_given() -> None:
    seen = []

    def norm(**options: Any) -> BatchNorm:
        seen.append(options["name"])
        return BatchNorm(momentum=0.5, **options)

    block = partial(BasicBlock, last_norm=partial(ZeroScaleBatchNorm, momentum=0.5))
    model = pure(TINY(block=block, norm=norm))
    x = jnp.zeros((1, 16, 16, 3))
    _, stats = jax.eval_shape(model.init, KEY, x)
    homes = {name.rpartition("/")[0] for name in tree.names(stats["batch_stats"])}
    assert len(homes) == len(seen) + 3 == 8  # stem, 3 blocks, 1 shortcut; 3 last norms


def test_pre_activation_ends_in_a_norm() -> None:
    network = PreActivationResNet(stages=(1,), block=PreActivationBottleneckBlock, width=2, classes=3)
    x = jnp.zeros((1, 16, 16, 3))
    params, _ = jax.eval_shape(pure(network).init, KEY, x)
    assert sorted(params) == ["logits", "norm", "stage1", "stem"]
    assert params["norm"]["scale"].shape == (8,)
    assert sorted(params["stage1"]["block0"]) == ["conv1", "conv2", "conv3", "norm2", "norm3", "shortcut"]


def test_in_bfloat16_the_logits_stay_near(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((4, 16, 16, 3)), jnp.float32)
    model = pure(TINY(block=BasicBlock))
    params, stats = random_variables(model, x)
    apply = jax.jit(model.apply)
    half, full = apply(params, stats, x.astype(jnp.bfloat16))[0], apply(params, stats, x)[0]
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), full, atol=0.05 * float(jnp.abs(full).max()))
