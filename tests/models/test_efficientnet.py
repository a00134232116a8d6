from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax.errors import InvalidRngError

from fjdl import tree
from fjdl.analysis import total
from fjdl.models.efficientnet import (
    EFFICIENTNET_TIMM,
    EFFICIENTNET_TORCHVISION,
    EfficientNet,
    EfficientNetStage,
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
)
from fjdl.nn import pure
from tests.models.parity import assert_equals_twin
from tests.models.twins.efficientnet import TorchvisionEfficientNet
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

KEY = jax.random.key(0)
ROWS = [
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
]  # fmt: skip
TINY_ROWS = [(1, 3, 1, 8, 1), (2, 5, 2, 8, 2)]
TINY = partial(
    EfficientNet, classes=5, width=0.25, stages=(EfficientNetStage(1, 3, 1, 32, 1), EfficientNetStage(2, 5, 2, 32, 2))
)


def of_timm(stem: int, rows: Any, head: int, *, classes: int = 1000) -> torch.nn.Module:
    silu = torch.nn.functional.silu
    return TimmNetwork(stem, rows, head, act=silu, squeeze=True, epsilon=1e-3, classes=classes)


LIBRARIES = pytest.mark.parametrize(
    ("twin", "layout"),
    [(TorchvisionEfficientNet, EFFICIENTNET_TORCHVISION), (of_timm, EFFICIENTNET_TIMM)],
    ids=["torchvision", "timm"],
)


def test_it_equals_torch_with_the_same_weights(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 15, 18, 3)).astype(np.float32)
    torchvision, timm = (twin(8, TINY_ROWS, 320, classes=5) for twin in (TorchvisionEfficientNet, of_timm))
    assert_equals_twin(pure(TINY()), torchvision, x, EFFICIENTNET_TORCHVISION)
    assert_twins_agree(pure(TINY()), x, torchvision, EFFICIENTNET_TORCHVISION, timm, EFFICIENTNET_TIMM)


@LIBRARIES
def test_names_and_shapes_at_full_size_are_theirs(twin: Any, layout: Any) -> None:
    theirs = on_meta(lambda: twin(32, ROWS, 1280))
    exported = exported_shapes(efficientnet_b0(), layout)
    assert exported == twin_shapes(theirs)
    assert len(exported) == 311  # with the 49 counters of batches both have 360


def test_a_row_for_every_layer_and_all_parameters_in_them() -> None:
    layers, (params, _), _ = abstract(efficientnet_b0())
    assert total(layers).parameters == tree.count(params)
    assert total(layers).macs == twin_macs(on_meta(lambda: of_timm(32, ROWS, 1280)))
    assert [layer.output for layer in layers if layer.name.endswith("block0/project/conv")] == [
        (112, 112, 16), (56, 56, 24), (28, 28, 40), (14, 14, 80), (14, 14, 112), (7, 7, 192), (7, 7, 320),
    ]  # fmt: skip
    squeezed = {layer.name: layer.output for layer in layers if layer.name.endswith("excitation/reduce")}
    assert squeezed["stage2/block0/excitation/reduce"] == (1, 1, 4)  # a quarter of 16, not of 96


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "count", "keys"),
    [
        (efficientnet_b1, 7_794_184, 508 - 69),
        (efficientnet_b2, 9_109_994, 508 - 69),
        (efficientnet_b3, 12_233_232, 574 - 78),
        (efficientnet_b4, 19_341_616, 706 - 96),
        (efficientnet_b5, 30_389_784, 854 - 116),
        (efficientnet_b6, 43_040_704, 986 - 134),
        (efficientnet_b7, 66_347_960, 1200 - 163),
    ],
    ids=[f"b{i}" for i in range(1, 8)],
)
def test_compound_scaling_gives_the_parameters_and_tensors_of_torchvision(network: Any, count: int, keys: int) -> None:
    params, stats = jax.eval_shape(pure(network()).init, KEY, images(64))
    assert tree.count(params) == count
    assert len(jax.tree.leaves((params, stats))) == keys


def test_the_deeper_a_block_the_more_often_it_is_dropped() -> None:
    """Nine of the 16 blocks have a shortcut: those that begin no stage."""
    firsts = {0, 1, 3, 5, 8, 11, 15}
    expected = [0.2 * i / 16 for i in range(16) if i not in firsts]
    np.testing.assert_allclose(abstract(efficientnet_b0())[2], expected)


def test_features_by_name() -> None:
    model = pure(TINY(), outputs=("stage1", "stage2/block1/excitation"))
    variables = jax.eval_shape(pure(TINY()).init, KEY, images(16))
    features, _ = jax.eval_shape(model.apply, *variables, images(16))
    assert {name: feature.shape for name, feature in features.items()} == {
        "stage1": (1, 8, 8, 8), "stage2/block1/excitation": (1, 4, 4, 16),
    }  # fmt: skip


@pytest.mark.parametrize("options", [{"dropout": 0.0}, {"stochastic_depth": 0.0}])
def test_noise_wants_a_key_in_training_and_none_in_evaluation(options: Any) -> None:
    model = pure(TINY(**options))
    variables = jax.eval_shape(model.init, KEY, images(16))
    assert jax.eval_shape(model.apply, *variables, images(16))[0].shape == (1, 5)
    with pytest.raises(InvalidRngError):
        jax.eval_shape(partial(model.apply, train=True), *variables, images(16))


def test_in_bfloat16_the_logits_stay_near(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 16, 16, 3)).astype(np.float32)
    twin = of_timm(8, [(1, 3, 1, 8, 1)], 320, classes=5)
    model = pure(TINY(stages=(EfficientNetStage(1, 3, 1, 32, 1),)))
    assert_near_in_bfloat16(model, x, twin, EFFICIENTNET_TIMM, part=0.05)
