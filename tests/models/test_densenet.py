from functools import partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.analysis import total
from fjdl.models.densenet import (
    DENSENET_TORCHVISION,
    DenseLayer,
    DenseNet,
    DenseNetSmallStem,
    DenseStage,
    Transition,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
    densenet_40_12,
    densenet_bc_100_12,
)
from fjdl.nn import pure
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.test_googlenet import images
from tests.models.twins import densenet as twins

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"stages": (2, 1, 2), "growth": 4, "width": 6, "classes": 5}


@pytest.mark.by_day_on_pin(0)
def test_densenet121_has_7_978_856_parameters_and_the_papers_volumes() -> None:
    rows = {layer.name: layer for layer in pure(densenet121()).layers(images(224))}
    whole = total(list(rows.values()))
    assert (whole.parameters, whole.macs) == (7_978_856, 2_834_161_664)
    names = (
        "stem/conv",
        "stem/pool",
        "stage2/transition/conv",
        *(f"stage{n}/transition/pool" for n in (2, 3, 4)),
        "norm",
    )
    assert [rows[name].output for name in names] == [
        (112, 112, 64),
        (56, 56, 64),
        (56, 56, 128),
        (28, 28, 128),
        (14, 14, 256),
        (7, 7, 512),
        (7, 7, 1024),
    ]


@pytest.mark.by_day_on_pin(1)
def test_it_equals_its_twin(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 32, 32, 3)).astype(np.float32)
    assert_equals_twin(pure(DenseNet(**TINY)), twins.DenseNet(**TINY), x, DENSENET_TORCHVISION)


def test_stages_join_what_their_layers_add() -> None:
    model = pure(DenseNet(**TINY))
    params, stats = jax.eval_shape(model.init, KEY, images(32))
    names = ("stem", "stage1", "stage1/block1", "stage2/transition", "stage2", "stage3")
    features, _ = jax.eval_shape(pure(DenseNet(**TINY), outputs=names).apply, params, stats, images(32))
    assert {name: feature.shape[1:] for name, feature in features.items()} == {
        "stem": (8, 8, 6),
        "stage1": (8, 8, 14),
        "stage1/block1": (8, 8, 4),
        "stage2/transition": (4, 4, 7),
        "stage2": (4, 4, 11),
        "stage3": (2, 2, 13),
    }
    assert total(model.layers(images(32))).parameters == tree.count(params)


def test_in_bfloat16_the_plain_network_stays_near(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((2, 6, 6, 1)), jnp.float32)
    plain = DenseNet((2, 1), growth=3, width=4, bottleneck=0, compression=1.0, classes=4, stem=DenseNetSmallStem)
    params, stats = random_variables(pure(plain), x)
    assert params["stage1"]["block1"]["conv1"]["kernel"].shape == (3, 3, 4 + 3, 3)
    assert params["stage2"]["transition"]["conv"]["kernel"].shape == (1, 1, 10, 10)
    full, half = (jax.jit(pure(plain).apply)(params, stats, y)[0] for y in (x, x.astype(jnp.bfloat16)))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), full, atol=0.03 * float(jnp.abs(full).max()))


def test_dropout_acts_in_training_only() -> None:
    model = pure(DenseNet(**TINY, dropout=0.2))
    params, stats = jax.eval_shape(model.init, KEY, images(32))
    train = partial(model.apply, train=True)
    assert jax.eval_shape(model.apply, params, stats, images(32))[0].shape == (1, 5)
    assert jax.eval_shape(train, params, stats, images(32), key=KEY)[0].shape == (1, 5)
    with pytest.raises(flax.errors.InvalidRngError, match="dropout"):
        jax.eval_shape(train, params, stats, images(32))


def test_the_parts_of_a_stage_add_growth_and_compress() -> None:
    x = jax.ShapeDtypeStruct((2, 7, 6, 9), jnp.float32)
    for part, shape, parameters in (
        (DenseLayer(4), (2, 7, 6, 4), 2 * 9 + 9 * 16 + 2 * 16 + 9 * 16 * 4),
        (DenseLayer(4, bottleneck=0), (2, 7, 6, 4), 2 * 9 + 9 * 9 * 4),
        (Transition(0.5), (2, 3, 3, 4), 2 * 9 + 9 * 4),
        (DenseStage(2, partial(DenseLayer, 4, 0)), (2, 7, 6, 17), 2 * 9 + 9 * 9 * 4 + 2 * 13 + 9 * 13 * 4),
    ):
        model = pure(part)
        variables = jax.eval_shape(model.init, KEY, x)
        assert jax.eval_shape(model.apply, *variables, x)[0].shape == shape
        assert tree.count(variables[0]) == parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "size", "parameters", "macs"),
    [
        (densenet161, 224, 28_681_000, 7_727_907_072),
        (densenet169, 224, 14_149_480, 3_359_843_328),
        (densenet201, 224, 20_013_928, 4_291_365_888),
        (densenet_bc_100_12, 32, 769_162, 287_929_692),
        (densenet_40_12, 32, 1_019_722, 264_812_928),
    ],
)
def test_parameters_and_macs_of_the_papers_rows(network: Any, size: int, parameters: int, macs: int) -> None:
    params, _ = jax.eval_shape(pure(network()).init, KEY, images(size))
    whole = total(pure(network()).layers(images(size)))
    assert tree.count(params) == whole.parameters == parameters
    assert whole.macs == macs


@pytest.mark.slow
def test_at_full_size_it_equals_its_twin_of_606_keys(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 224, 224, 3)).astype(np.float32)
    twin = twins.DenseNet(stages=(6, 12, 24, 16), growth=32, width=64, classes=1000)
    assert sum(not key.endswith("num_batches_tracked") for key in twin.state_dict()) == 606
    assert_equals_twin(pure(densenet121()), twin, x, DENSENET_TORCHVISION)
