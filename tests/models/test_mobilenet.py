from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax.errors import InvalidRngError

from fjdl import tree
from fjdl.analysis import total
from fjdl.models.mobilenet import MOBILENET_TIMM, DepthwiseSeparable, MobileNet
from fjdl.nn import pure
from tests.models.parity import assert_equals_twin
from tests.models.twins.full_size import (
    abstract,
    assert_near_in_bfloat16,
    exported_shapes,
    images,
    on_meta,
    twin_macs,
    twin_shapes,
)
from tests.models.twins.mobilenet import TimmNetwork

KEY = jax.random.key(0)
ROWS = [(1, 3, 1, 64, 1), (1, 3, 2, 128, 2), (1, 3, 2, 256, 2), (1, 3, 2, 512, 6), (1, 3, 2, 1024, 2)]
TINY = partial(MobileNet, classes=5, alpha=0.5, stages=((32, 1, 1), (48, 2, 2)))


def test_it_equals_torch_with_the_same_weights(rng: np.random.Generator) -> None:
    """The rectifier is the paper's; odd images show where the padding is."""
    x = rng.standard_normal((2, 15, 18, 3)).astype(np.float32)
    rows = [(1, 3, 1, 16, 1), (1, 3, 2, 24, 2)]
    twin = TimmNetwork(16, rows, None, act=torch.relu, linear=False, epsilon=1e-5, classes=5)
    assert_equals_twin(pure(TINY()), twin, x, MOBILENET_TIMM)


def test_names_and_shapes_at_full_size_are_those_of_timm() -> None:
    twin = on_meta(lambda: TimmNetwork(32, ROWS, None, act=torch.nn.functional.relu6, linear=False))
    exported = exported_shapes(MobileNet(), MOBILENET_TIMM)
    assert exported == twin_shapes(twin)
    assert len(exported) == 137  # with the 27 counters of batches timm has 164
    assert total(abstract(MobileNet())[0]).macs == twin_macs(twin)


def test_a_row_for_every_layer_and_all_parameters_in_them() -> None:
    layers, (params, stats), _ = abstract(MobileNet())
    assert total(layers).parameters == tree.count(params)
    assert tree.count(stats) == 2 * sum(layer.output[-1] for layer in layers if layer.name.endswith("norm"))
    assert [layer.name for layer in layers[:4]] == [
        "stem/conv", "stem/norm", "stage1/block0/depthwise/conv", "stage1/block0/depthwise/norm",
    ]  # fmt: skip
    assert [layer.name for layer in layers[-2:]] == ["pool", "logits"]
    assert layers[-4].output == (7, 7, 1024)


def test_a_stem_without_stride_suits_small_images() -> None:
    layers = pure(MobileNet(classes=10, stem_stride=1)).layers(images(32))
    assert [layer.output for layer in layers if layer.name in ("stem/conv", "stage5/block1/pointwise/conv")] == [
        (32, 32, 32), (2, 2, 1024),
    ]  # fmt: skip


def test_features_by_name() -> None:
    model = pure(TINY(), outputs=("stage1", "stage2/block0"))
    variables = jax.eval_shape(pure(TINY()).init, KEY, images(16))
    features, _ = jax.eval_shape(model.apply, *variables, images(16))
    assert {name: feature.shape for name, feature in features.items()} == {
        "stage1": (1, 8, 8, 16), "stage2/block0": (1, 4, 4, 24),
    }  # fmt: skip


def test_dropout_wants_a_key_in_training_and_none_in_evaluation() -> None:
    model = pure(TINY(dropout=0.1))
    variables = jax.eval_shape(model.init, KEY, images(16))
    assert jax.eval_shape(model.apply, *variables, images(16))[0].shape == (1, 5)
    with pytest.raises(InvalidRngError):
        jax.eval_shape(partial(model.apply, train=True), *variables, images(16))


def test_in_bfloat16_the_logits_stay_near(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 16, 16, 3)).astype(np.float32)
    twin = TimmNetwork(16, [(1, 3, 1, 16, 1)], None, act=torch.relu, linear=False, classes=5)
    assert_near_in_bfloat16(pure(TINY(stages=((32, 1, 1),))), x, twin, MOBILENET_TIMM, part=0.03)


def test_no_width_falls_below_8() -> None:
    layers = pure(MobileNet(alpha=0.1)).layers(images())
    assert min(layer.output[-1] for layer in layers[:-1]) == 8


def test_the_block_can_be_used_alone() -> None:
    layers = pure(DepthwiseSeparable(24, stride=2)).layers(jax.ShapeDtypeStruct((1, 9, 9, 16), jnp.float32))
    convolutions = [layer for layer in layers if layer.macs]
    assert [(layer.output, layer.parameters) for layer in convolutions] == [((5, 5, 16), 9 * 16), ((5, 5, 24), 16 * 24)]
