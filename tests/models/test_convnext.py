from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax.errors import InvalidRngError

from fjdl import tree
from fjdl.analysis import total
from fjdl.models.convnext import (
    CONVNEXT_TIMM,
    CONVNEXT_TORCHVISION,
    ConvNeXt,
    ConvNeXtStage,
    convnext_base,
    convnext_large,
    convnext_small,
    convnext_tiny,
)
from fjdl.nn import pure
from fjdl.transfer.layout import from_torch, to_torch
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.twins.convnext import TimmConvNeXt, TorchvisionConvNeXt
from tests.models.twins.full_size import (
    abstract,
    assert_near_in_bfloat16,
    exported_shapes,
    images,
    loaded,
    on_meta,
    twin_macs,
    twin_shapes,
)

KEY = jax.random.key(0)
WIDTHS, DEPTHS = (96, 192, 384, 768), (3, 3, 9, 3)
TINY = partial(ConvNeXt, classes=5, widths=(4, 8), depths=(1, 2))


def test_it_equals_torch_with_the_weights_of_timm(rng: np.random.Generator) -> None:
    """Neither 21 nor 27 is a multiple of 8, so stem and stage cut something off."""
    x = rng.standard_normal((2, 21, 27, 3)).astype(np.float32)
    assert_equals_twin(pure(TINY()), TimmConvNeXt((4, 8), (1, 2), classes=5), x, CONVNEXT_TIMM)


def test_the_weights_of_torchvision_do_the_same(rng: np.random.Generator) -> None:
    x = torch.tensor(rng.standard_normal((2, 3, 21, 27)), dtype=torch.float32)
    theirs, twin = (network((4, 8), (1, 2), classes=5) for network in (TorchvisionConvNeXt, TimmConvNeXt))
    variables = random_variables(pure(TINY()), images(32))
    state = to_torch(*variables, CONVNEXT_TORCHVISION)
    expected = loaded(twin, to_torch(*variables, CONVNEXT_TIMM))
    with torch.no_grad():
        torch.testing.assert_close(loaded(theirs, state)(x), expected(x))
    exported = {name: value.numpy() for name, value in theirs.state_dict().items()}
    assert tree.digest(from_torch(exported, *variables, CONVNEXT_TORCHVISION)) == tree.digest(variables)


def test_names_and_shapes_at_full_size_are_those_of_timm_and_torchvision() -> None:
    timm, torchvision = (
        on_meta(lambda twin=twin: twin(WIDTHS, DEPTHS)) for twin in (TimmConvNeXt, TorchvisionConvNeXt)
    )
    assert exported_shapes(convnext_tiny(), CONVNEXT_TIMM) == twin_shapes(timm)
    exported, theirs = exported_shapes(convnext_tiny(), CONVNEXT_TORCHVISION), twin_shapes(torchvision)
    assert len(exported) == 182
    assert {name: np.prod(shape) for name, shape in exported.items()} == {
        name: np.prod(shape) for name, shape in theirs.items()
    }
    assert total(abstract(convnext_tiny())[0]).macs == twin_macs(timm)


def test_a_stage_halves_the_image_with_downsample_alone() -> None:
    x = jax.ShapeDtypeStruct((2, 7, 6, 4), np.float32)
    block = 49 * 8 + 8 + 2 * 8 + 8 * 32 + 32 + 32 * 8 + 8 + 8  # depthwise, norm, two dense layers, scale
    for stage, shape, parameters in (
        (ConvNeXtStage(8, (0.0, 0.0)), (2, 3, 3, 8), 2 * 4 + 4 * 4 * 8 + 8 + 2 * block),
        (ConvNeXtStage(4, (), downsample=False), (2, 7, 6, 4), 0),
    ):
        model = pure(stage)
        variables = jax.eval_shape(model.init, jax.random.key(0), x)
        assert jax.eval_shape(model.apply, *variables, x)[0].shape == shape
        assert tree.count(variables[0]) == parameters


def test_a_row_for_every_layer_and_all_parameters_in_them() -> None:
    layers, (params, stats), _ = abstract(convnext_tiny())
    assert total(layers).parameters == tree.count(params)
    assert stats == {}
    assert [layer.name for layer in layers[:8]] == [
        "stem", "stem_norm", *(f"stage1/block0/{part}" for part in ("depthwise", "norm", "expand", "project", "scale")),
        "stage1/block1/depthwise",
    ]  # fmt: skip
    assert [layer.output for layer in layers if layer.name.endswith("block0/scale")] == [
        (56, 56, 96), (28, 28, 192), (14, 14, 384), (7, 7, 768),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "count"),
    [(convnext_small, 50_223_688), (convnext_base, 88_591_464), (convnext_large, 197_767_336)],
    ids=["small", "base", "large"],
)
def test_the_larger_ones_have_the_parameters_of_torchvision(network: Any, count: int) -> None:
    params, _ = jax.eval_shape(pure(network()).init, KEY, images(32))
    assert tree.count(params) == count
    assert len(jax.tree.leaves(params)) == 344


def test_the_deeper_a_block_the_more_often_it_is_dropped() -> None:
    np.testing.assert_allclose(abstract(convnext_tiny())[2], np.linspace(0, 0.1, 18))
    assert abstract(ConvNeXt(depths=(1,), widths=(8,)))[2] == [0]


def test_features_by_name() -> None:
    model = pure(TINY(), outputs=("stage1", "stage2/block1", "stage2/downsample"))
    variables = jax.eval_shape(pure(TINY()).init, KEY, images(32))
    features, _ = jax.eval_shape(model.apply, *variables, images(32))
    assert {name: feature.shape for name, feature in features.items()} == {
        "stage1": (1, 8, 8, 4), "stage2/block1": (1, 4, 4, 8), "stage2/downsample": (1, 4, 4, 8),
    }  # fmt: skip


def test_stochastic_depth_wants_a_key_in_training_and_none_in_evaluation() -> None:
    model = pure(TINY())
    variables = jax.eval_shape(model.init, KEY, images(32))
    assert jax.eval_shape(model.apply, *variables, images(32))[0].shape == (1, 5)
    with pytest.raises(InvalidRngError):
        jax.eval_shape(partial(model.apply, train=True), *variables, images(32))


def test_in_bfloat16_the_logits_stay_near(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 16, 16, 3)).astype(np.float32)
    model = pure(TINY(widths=(8,), depths=(1,)))
    assert_near_in_bfloat16(model, x, TimmConvNeXt((8,), (1,), classes=5), CONVNEXT_TIMM, part=0.03)
