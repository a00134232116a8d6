from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax.errors import InvalidRngError

from fjdl import tree
from fjdl.analysis import total
from fjdl.models.mobilenet_v2 import (
    MOBILENET_V2_TIMM,
    MOBILENET_V2_TORCHVISION,
    MobileNetV2,
    divisible,
)
from fjdl.nn import pure
from tests.models.parity import assert_equals_twin
from tests.models.twins.full_size import (
    abstract,
    assert_near_in_bfloat16,
    assert_twins_agree,
    exported_shapes,
    images,
    on_meta,
    twin_macs,
    twin_shapes,
)
from tests.models.twins.mobilenet import TimmNetwork
from tests.models.twins.mobilenet_v2 import TorchvisionMobileNetV2

KEY = jax.random.key(0)
ROWS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
TINY = partial(MobileNetV2, classes=5, alpha=0.25, stages=((1, 32, 1, 1), (2, 32, 2, 2)))
TINY_ROWS = [(1, 8, 1, 1), (2, 8, 2, 2)]
RELU6 = torch.nn.functional.relu6


def of_torchvision(stem: int, rows: Any, *, classes: int) -> torch.nn.Module:
    return TorchvisionMobileNetV2(stem, rows, 1280, classes=classes)


def of_timm(stem: int, rows: Any, *, classes: int) -> torch.nn.Module:
    five = [(expansion, 3, stride, channels, depth) for expansion, channels, depth, stride in rows]
    return TimmNetwork(stem, five, 1280, act=RELU6, classes=classes)


LIBRARIES = pytest.mark.parametrize(
    ("twin", "layout"),
    [(of_torchvision, MOBILENET_V2_TORCHVISION), (of_timm, MOBILENET_V2_TIMM)],
    ids=["torchvision", "timm"],
)


def test_it_equals_torch_with_the_same_weights(rng: np.random.Generator) -> None:
    """Odd images show where the padding is; 2 times larger ones, where the activation is cut at 6."""
    x = 2 * rng.standard_normal((2, 15, 18, 3)).astype(np.float32)
    torchvision, timm = of_torchvision(8, TINY_ROWS, classes=5), of_timm(8, TINY_ROWS, classes=5)
    assert_equals_twin(pure(TINY()), torchvision, x, MOBILENET_V2_TORCHVISION)
    assert_twins_agree(pure(TINY()), x, torchvision, MOBILENET_V2_TORCHVISION, timm, MOBILENET_V2_TIMM)


@LIBRARIES
def test_names_and_shapes_at_full_size_are_theirs(twin: Any, layout: Any) -> None:
    theirs = on_meta(lambda: twin(32, ROWS, classes=1000))
    exported = exported_shapes(MobileNetV2(), layout)
    assert exported == twin_shapes(theirs)
    assert len(exported) == 262  # with the 52 counters of batches both have 314


def test_a_row_for_every_layer_and_all_parameters_in_them() -> None:
    layers, (params, _), _ = abstract(MobileNetV2())
    assert total(layers).parameters == tree.count(params)
    assert total(layers).macs == twin_macs(on_meta(lambda: of_timm(32, ROWS, classes=1000)))
    assert [layer.name for layer in layers[-4:]] == ["head/conv", "head/norm", "pool", "logits"]
    assert [layer.output for layer in layers if layer.name.endswith("block0/project/conv")] == [
        (112, 112, 16), (56, 56, 24), (28, 28, 32), (14, 14, 64), (14, 14, 96), (7, 7, 160), (7, 7, 320),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("channels", "expected"), [(32, 32), (24 * 0.75, 24), (16 * 1.4, 24), (16 * 0.35, 8), (1, 8), (44.8, 48), (20, 24)]
)
def test_widths_are_multiples_of_8_that_lose_at_most_a_tenth(channels: float, expected: int) -> None:
    """18 would become 16, which is 11 % less; 22.4 lies nearest to 24, 5.6 to 8."""
    assert divisible(channels) == expected


def test_the_last_convolution_is_never_made_thinner() -> None:
    layers = pure(MobileNetV2(alpha=0.25, stages=((1, 16, 1, 1),))).layers(images(32))
    assert {layer.name: layer.output for layer in layers}["pool"] == (1280,)


def test_features_by_name() -> None:
    model = pure(TINY(), outputs=("stage1", "stage2/block1/expand"))
    variables = jax.eval_shape(pure(TINY()).init, KEY, images(16))
    features, _ = jax.eval_shape(model.apply, *variables, images(16))
    assert {name: feature.shape for name, feature in features.items()} == {
        "stage1": (1, 8, 8, 8), "stage2/block1/expand": (1, 4, 4, 16),
    }  # fmt: skip


def test_dropout_wants_a_key_in_training_and_none_in_evaluation() -> None:
    model = pure(TINY())
    variables = jax.eval_shape(model.init, KEY, images(16))
    assert jax.eval_shape(model.apply, *variables, images(16))[0].shape == (1, 5)
    with pytest.raises(InvalidRngError):
        jax.eval_shape(partial(model.apply, train=True), *variables, images(16))


def test_in_bfloat16_the_logits_stay_near(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 16, 16, 3)).astype(np.float32)
    twin = of_timm(8, [(1, 8, 1, 2)], classes=5)
    model = pure(TINY(stages=((1, 32, 1, 2),)))
    assert_near_in_bfloat16(model, x, twin, MOBILENET_V2_TIMM, part=0.05)
