from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.analysis import total
from fjdl.models.vgg import (
    VGG,
    VGGStage,
    vgg11,
    vgg13,
    vgg16,
    vgg16_cifar,
    vgg19,
    vgg_timm,
    vgg_torchvision,
)
from fjdl.nn import pure
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.twins import vgg as twins

KEY = jax.random.key(0)
IMAGE = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
STAGES, WIDTHS = zip(*twins.STAGES, strict=True)
TINY = partial(VGG, classes=5, stages=STAGES, widths=WIDTHS, hidden=(9, 10))


@pytest.mark.parametrize(
    ("network", "parameters", "macs", "pool_operations"),
    [
        (vgg11(), 132_863_336, 7_609_090_048, 6_121_472),
        (vgg13(batch_norm=True), 133_053_736, 11_308_466_176, 6_121_472),
        (vgg16(), 138_357_544, 15_470_264_320, 6_121_472),
        (vgg16(convolutional_head=True), 138_357_544, 15_470_264_320, 6_121_472 + 4_096),
        (vgg19(), 143_667_240, 19_632_062_464, 6_121_472),
    ],
    ids=["11", "13 with batch norm", "16", "16 with a convolutional head", "19"],
)
def test_totals(network: VGG, parameters: int, macs: int, pool_operations: int) -> None:
    model = pure(network)
    whole = total(model.layers(IMAGE))
    assert (whole.parameters, whole.macs, whole.pool_operations) == (parameters, macs, pool_operations)
    assert whole.output == (1000,)
    assert tree.count(jax.eval_shape(model.init, KEY, IMAGE)[0]) == parameters


def test_the_cifar_network_has_one_dense_layer() -> None:
    model = pure(vgg16_cifar())
    rows = model.layers(jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32))
    assert [row.name for row in rows if row.name.startswith(("fc", "logits"))] == ["logits"]
    assert (rows[-1].parameters, total(rows).parameters) == (5_130, 14_728_266)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_equals_torch_with_torchvisions_names(rng: np.random.Generator, batch_norm: bool) -> None:
    x = rng.standard_normal((2, 24, 24, 3)).astype(np.float32)
    network = TINY(batch_norm=batch_norm)
    twin = twins.VGG(8 * 9, (9, 10), classes=5, batch_norm=batch_norm)
    assert_equals_twin(pure(network), twin, x, vgg_torchvision(network, image=24))


def test_it_equals_torch_without_hidden_layers(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 16, 16, 3)).astype(np.float32)
    network = TINY(hidden=())
    twin = twins.VGG(8 * 4, (), classes=5, batch_norm=False)
    assert_equals_twin(pure(network), twin, x, vgg_torchvision(network, image=16))


def test_it_equals_torch_with_timms_names_on_images_that_are_larger_than_its_window(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 64, 72, 3)).astype(np.float32)
    network = TINY(batch_norm=True, convolutional_head=True)
    twin = twins.ConvolutionalVGG((9, 10), classes=5, batch_norm=True)
    assert_equals_twin(pure(network), twin, x, vgg_timm(network))


def test_the_convolutional_head_is_the_dense_one_reshaped() -> None:
    x = jax.random.normal(KEY, (1, 56, 56, 3))
    dense, convolutional = pure(TINY()), pure(TINY(convolutional_head=True))
    params, _ = random_variables(dense, x)
    slid = {
        **params,
        "fc6": {**params["fc6"], "kernel": params["fc6"]["kernel"].reshape(7, 7, 8, 9)},
        "fc7": {**params["fc7"], "kernel": params["fc7"]["kernel"].reshape(1, 1, 9, 10)},
    }
    once, again = jax.jit(lambda p, q: (dense.apply(p, {}, x)[0], convolutional.apply(q, {}, x)[0]))(params, slid)
    np.testing.assert_allclose(once, again, rtol=1e-4, atol=1e-5)


TORCHVISION = {"classifier.0.weight", "classifier.3.bias", "classifier.6.weight"}
TIMM = {"pre_logits.fc1.weight", "pre_logits.fc2.bias", "head.fc.weight"}


@pytest.mark.parametrize(
    ("network", "layout", "count", "some"),
    [
        (vgg16(), vgg_torchvision, 32, {"features.0.weight", "features.28.bias", *TORCHVISION}),
        (vgg13(batch_norm=True), vgg_torchvision, 66, {"features.28.bias", "features.32.running_var", *TORCHVISION}),
        (vgg11(convolutional_head=True), vgg_timm, 22, {"features.18.bias", *TIMM}),
        (vgg19(batch_norm=True, convolutional_head=True), vgg_timm, 102, {"features.50.running_mean", *TIMM}),
    ],
    ids=["16", "13 with batch norm", "11 of timm", "19 of timm with batch norm"],
)
def test_names_are_those_of_torchvision_and_timm(network: VGG, layout: Any, count: int, some: set[str]) -> None:
    params, stats = jax.eval_shape(pure(network).init, KEY, IMAGE)
    names = [name for part in (params, *stats.values()) for name in tree.names(part)]
    keys = {layout(network).key(name) for name in names}
    assert len(keys) == len(names) == count  # beside the counters of batches, one for each of the norms
    assert some <= keys


def test_a_layout_for_the_other_head_is_refused() -> None:
    with pytest.raises(ValueError, match="convolutional_head must be False"):
        vgg_torchvision(VGG(convolutional_head=True))
    with pytest.raises(ValueError, match="convolutional_head must be True"):
        vgg_timm(VGG())


def test_stages_are_features_before_their_pools() -> None:
    names = ("stage1", "stage3/conv2", "stage5", "pool5")
    model = pure(vgg16(), outputs=names)
    params, _ = jax.eval_shape(pure(vgg16()).init, KEY, IMAGE)
    features, _ = jax.eval_shape(model.apply, params, {}, IMAGE)
    assert [features[name].shape[1:] for name in names] == [(224, 224, 64), (56, 56, 256), (14, 14, 512), (7, 7, 512)]


def test_a_stage_stands_alone_and_learns_statistics_only_in_training() -> None:
    x = jax.random.normal(KEY, (3, 4, 4, 3))
    model = pure(VGGStage(2, 5, batch_norm=True))
    params, stats = random_variables(model, x)
    y, kept = model.apply(params, stats, x)
    _, moved = model.apply(params, stats, x, train=True)
    assert y.shape == (3, 4, 4, 5)
    assert jnp.all(y >= 0)
    assert tree.digest(kept) == tree.digest(stats) != tree.digest(moved)


def test_dropout_acts_in_training_only_and_bfloat16_is_near() -> None:
    x = jax.random.normal(KEY, (2, 8, 8, 3))
    model, plain = pure(TINY()), pure(TINY(dropout=0.0))
    params, _ = random_variables(model, x)
    trained = jax.jit(lambda key: model.apply(params, {}, x, train=True, key=key)[0])
    assert jnp.any(trained(KEY) != trained(jax.random.key(1)))
    run = jax.jit(lambda x: (model.apply(params, {}, x)[0], plain.apply(params, {}, x, train=True)[0]))
    logits, same = run(x)
    np.testing.assert_allclose(logits, same, rtol=1e-6)
    half, _ = run(x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), logits, atol=0.05 * float(jnp.abs(logits).max()))
