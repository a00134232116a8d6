from collections import OrderedDict
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import tree
from fjdl.analysis import Layer, total
from fjdl.models.inception import INCEPTION_V3_TORCHVISION, InceptionV3, InceptionV3Stage
from fjdl.models.inception_modules import InceptionA, InceptionB, InceptionC, InceptionD, InceptionE
from fjdl.nn import pure
from fjdl.transfer.layout import Layout
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.test_googlenet import images, side_by_side
from tests.models.twins import inception as twins

KEY = jax.random.key(0)
ALL_TYPES = (partial(InceptionA, 8), InceptionB, partial(InceptionC, 8), InceptionD, InceptionE)


@cache
def rows() -> dict[str, Layer]:
    return {layer.name: layer for layer in pure(InceptionV3(auxiliary=True)).layers(images(299))}


def test_parameters_and_macs_with_and_without_the_auxiliary_classifier() -> None:
    rest = [row for name, row in rows().items() if not name.startswith("auxiliary")]
    assert total(list(rows().values())).parameters == 27_161_264
    assert total(rest).parameters == 23_834_568
    assert total(rest).macs == 5_713_216_096
    # 768 to 128 channels at 25 positions, then 5x5 to 768 at one, then the logits
    assert total(list(rows().values())).macs - total(rest).macs == 25 * 768 * 128 + 25 * 128 * 768 + 768 * 1000


def test_volumes_are_those_of_the_papers_table() -> None:
    names = (
        "stage1/conv1/conv", "stage1/conv2/conv", "stage1/conv3/conv", "stage2/pool", "stage2/conv1/conv",
        "stage2/conv2/conv", "stage3/pool", "stage4/block0/pool", "stage5/block0/pool", "pool", "logits",
    )  # fmt: skip
    assert [rows()[name].output for name in names] == [
        (149, 149, 32),
        (147, 147, 32),
        (147, 147, 64),
        (73, 73, 64),
        (73, 73, 80),
        (71, 71, 192),
        (35, 35, 192),
        (17, 17, 288),
        (8, 8, 768),
        (2048,),
        (1000,),
    ]


def test_all_types_of_modules_equal_their_twins(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 15, 13, 8)).astype(np.float32)  # the last module sees 3 x 2 pixels
    blocks = (
        twins.inception_a(8, 8),
        twins.inception_b(232),
        twins.inception_c(712, 8),
        twins.inception_d(768),
        twins.InceptionE(1280),
    )
    twin = torch.nn.Sequential(OrderedDict((f"block{index}", block) for index, block in enumerate(blocks)))
    layout = Layout(((r"(block\d)/(\w+)/conv", r"\1.\2.conv"), (r"(block\d)/(\w+)/norm", r"\1.\2.bn")))
    assert_equals_twin(pure(InceptionV3Stage(ALL_TYPES)), twin, x, layout)


@pytest.mark.slow
def test_in_bfloat16_the_logits_stay_near(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((2, 75, 75, 3)), jnp.float32)
    model = pure(InceptionV3(classes=10))
    params, stats = random_variables(model, x)
    full, half = (jax.jit(model.apply)(params, stats, y)[0] for y in (x, x.astype(jnp.bfloat16)))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), full, atol=0.05 * float(jnp.abs(full).max()))


@pytest.mark.slow
@pytest.mark.parametrize("train", [False, True])
def test_outputs_are_the_same_in_training_and_evaluation(train: bool) -> None:
    model = pure(InceptionV3(auxiliary=True, classes=3))
    two = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)  # the auxiliary batch norm has one pixel of each
    params, stats = jax.eval_shape(model.init, KEY, two)
    outputs, _ = jax.eval_shape(partial(model.apply, train=train), params, stats, two, key=KEY)
    assert {name: output.shape for name, output in outputs.items()} == {"logits": (2, 3), "auxiliary": (2, 3)}


@pytest.mark.slow
def test_features_have_names_and_the_least_image_has_75_pixels() -> None:
    names = ("stage1", "stage2", "stage3", "stage4", "stage4/block0", "stage5/block1", "stage5")
    params, stats = jax.eval_shape(pure(InceptionV3()).init, KEY, images(75))
    assert tree.count(params) == 23_834_568
    features, _ = jax.eval_shape(pure(InceptionV3(), outputs=names).apply, params, stats, images(75))
    assert {name: feature.shape[1:] for name, feature in features.items()} == {
        "stage1": (35, 35, 64),
        "stage2": (15, 15, 192),
        "stage3": (7, 7, 288),
        "stage4": (3, 3, 768),
        "stage4/block0": (3, 3, 768),
        "stage5/block1": (1, 1, 2048),
        "stage5": (1, 1, 2048),
    }
    with pytest.raises(ValueError, match="window"):
        jax.eval_shape(pure(InceptionV3()).init, KEY, images(74))


@pytest.mark.slow
def test_the_network_equals_its_twin(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 299, 299, 3)).astype(np.float32)
    model = side_by_side(pure(InceptionV3(auxiliary=True, classes=10)))
    assert_equals_twin(model, twins.InceptionV3(classes=10), x, INCEPTION_V3_TORCHVISION)


@pytest.mark.slow
def test_torchvisions_state_dict_has_484_keys_with_the_auxiliary_classifier() -> None:
    params, stats = jax.eval_shape(pure(InceptionV3(auxiliary=True)).init, KEY, images(299))
    keys = {INCEPTION_V3_TORCHVISION.key(path) for path in [*tree.names(params), *tree.names(stats["batch_stats"])]}
    assert len(keys) == 484
    twin = twins.InceptionV3(classes=1000).state_dict()
    assert keys == {key for key in twin if not key.endswith("num_batches_tracked")}
