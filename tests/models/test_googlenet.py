from functools import cache, partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.analysis import Layer, total
from fjdl.models.googlenet import (
    GOOGLENET_TORCHVISION,
    GoogLeNet,
    GoogLeNetHead,
    InceptionStage,
    googlenet_batch_norm,
)
from fjdl.models.inception_modules import Inception, NaiveInception
from fjdl.nn import Model, pure
from fjdl.transfer.layout import Layout
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.twins import inception as twins

KEY = jax.random.key(0)
WIDTHS = (4, 3, 5, 2, 3, 4)
BRANCHES = {
    "conv1x1": "branch1", "reduce3x3": "branch2.0", "conv3x3": "branch2.1", "reduce5x5": "branch3.0",
    "conv5x5": "branch3.1", "project": "branch4.1",
}  # fmt: skip


def images(size: int, *, channels: int = 3) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)


@cache
def rows() -> dict[str, Layer]:
    return {layer.name: layer for layer in pure(GoogLeNet(auxiliary=True)).layers(images(224))}


@cache
def abstract_params() -> Any:
    return jax.eval_shape(pure(GoogLeNet(auxiliary=True)).init, KEY, images(96))[0]


def side_by_side(model: Model) -> Model:
    """The model whose outputs are one array, in the order of their names with the logits first."""

    def apply(*args: Any, **options: Any) -> Any:
        outputs, stats = model.apply(*args, **options)
        return jnp.concatenate([outputs["logits"], *(outputs[k] for k in sorted(outputs) if k != "logits")], -1), stats

    return model._replace(apply=apply)


def test_auxiliary_classifiers_are_extra() -> None:
    heads = [row for name, row in rows().items() if name.startswith("auxiliary")]
    rest = [row for name, row in rows().items() if not name.startswith("auxiliary")]
    assert (total(rest).parameters, total(rest).macs) == (6_998_552, 1_582_671_872)
    # each a 1x1 convolution of 512 or 528 channels to 128, dense layers of 2048 to 1024 and of 1024 to 1000, and biases
    dense = (2048 * 1024 + 1024) + (1024 * 1000 + 1000)
    assert total(heads).parameters == (512 + 1 + 528 + 1) * 128 + 2 * dense
    assert total(heads).macs == 16 * (512 + 528) * 128 + 2 * (2048 * 1024 + 1024 * 1000)


def test_images_halve_from_stage_to_stage_as_in_the_papers_table() -> None:
    names = ("stage1/conv", "stage2/conv/conv", "stage3/pool", "stage4/pool", "stage5/pool", "pool", "logits")
    assert [rows()[name].output for name in names] == [
        (112, 112, 64),
        (56, 56, 192),
        (28, 28, 192),
        (14, 14, 480),
        (7, 7, 832),
        (1024,),
        (1000,),
    ]
    assert [rows()[f"{head}/pool"].output for head in ("auxiliary1", "auxiliary2")] == [(4, 4, 512), (4, 4, 528)]


def test_the_table_counts_the_parameters_that_there_are_and_features_have_names() -> None:
    names = ("stage1", "stage2", "stage3", "stage4", "stage4/block0", "stage4/block3", "stage5")
    assert tree.count(abstract_params()) == total(list(rows().values())).parameters - 2 * 1024 * 128 * 15
    model = pure(GoogLeNet(auxiliary=True), outputs=names)
    features, _ = jax.eval_shape(model.apply, abstract_params(), {}, images(96))
    assert {name: feature.shape[1:] for name, feature in features.items()} == {
        "stage1": (48, 48, 64),
        "stage2": (24, 24, 192),
        "stage3": (12, 12, 480),
        "stage4": (6, 6, 832),
        "stage4/block0": (6, 6, 512),
        "stage4/block3": (6, 6, 528),
        "stage5": (3, 3, 1024),
    }


def test_in_training_there_are_three_outputs_and_dropout() -> None:
    apply = partial(pure(GoogLeNet(auxiliary=True)).apply, train=True)
    outputs, _ = jax.eval_shape(apply, abstract_params(), {}, images(96), key=KEY)
    names = ("logits", "auxiliary1", "auxiliary2")
    assert {name: output.shape for name, output in outputs.items()} == dict.fromkeys(names, (1, 1000))
    head = pure(GoogLeNetHead(classes=4))
    params, _ = jax.eval_shape(head.init, KEY, images(5))
    jax.eval_shape(head.apply, params, {}, images(5))
    with pytest.raises(flax.errors.InvalidRngError, match="dropout"):
        jax.eval_shape(partial(head.apply, train=True), params, {}, images(5))


@pytest.mark.parametrize("norm", [None, googlenet_batch_norm().norm], ids=["paper", "torchvision"])
def test_a_module_equals_its_twin(rng: np.random.Generator, norm: Any) -> None:
    x = rng.standard_normal((2, 7, 6, 6)).astype(np.float32)
    window = 5 if norm is None else 3
    layout = Layout(
        (
            (r"(\w+)/conv", lambda match: BRANCHES[match[1]] + ".conv"),
            (r"(\w+)/norm", lambda match: BRANCHES[match[1]] + ".bn"),
        )
    )
    module = Inception(WIDTHS, window=window, norm=norm)
    assert_equals_twin(pure(module), twins.Module(6, WIDTHS, window=window, norm=norm is not None), x, layout)


def test_a_naive_module_keeps_the_channels_that_it_pools(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((1, 5, 5, 3)), jnp.float32)
    model = pure(NaiveInception(2, 3, 4))
    params, stats = random_variables(model, x)
    y, _ = jax.jit(model.apply)(params, stats, x)
    assert y.shape == (1, 5, 5, 2 + 3 + 4 + 3)
    np.testing.assert_array_equal(y[0, 2, 2, -3:], x[0, 1:4, 1:4].max((0, 1)))
    kernel = params["conv5x5"]["conv"]["kernel"]
    middle = np.einsum("hwc,hwck->k", x[0], kernel) + params["conv5x5"]["conv"]["bias"]
    np.testing.assert_allclose(y[0, 2, 2, 5:9], np.maximum(middle, 0), rtol=1e-5, atol=1e-6)


def test_a_stage_in_parts_is_the_stage_and_in_bfloat16_near_it(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((2, 6, 6, 4)), jnp.float32)
    stage = InceptionStage((WIDTHS, WIDTHS))
    params, _ = random_variables(pure(stage), x)

    @jax.jit
    def run(params: Any) -> tuple[Any, ...]:
        run = partial(stage.apply, {"params": params})
        return run(x), run(run(x, blocks=range(1)), blocks=range(1, 2)), run(x.astype(jnp.bfloat16))

    whole, parts, half = run(params)
    np.testing.assert_array_equal(whole, parts)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), whole, atol=0.03 * float(jnp.abs(whole).max()))


@pytest.mark.slow
@pytest.mark.parametrize("norm", [False, True], ids=["paper", "torchvision"])
def test_the_network_equals_its_twin(rng: np.random.Generator, norm: bool) -> None:
    network = (googlenet_batch_norm if norm else GoogLeNet)(auxiliary=True, classes=10)
    x = rng.standard_normal((2, 224, 224, 3)).astype(np.float32)
    twin = twins.GoogLeNet(classes=10, norm=norm)
    assert_equals_twin(side_by_side(pure(network)), twin, x, GOOGLENET_TORCHVISION)


@pytest.mark.slow
def test_torchvisions_state_dict_has_305_keys_with_the_auxiliary_classifiers() -> None:
    params, stats = jax.eval_shape(pure(googlenet_batch_norm(auxiliary=True)).init, KEY, images(224))
    keys = {GOOGLENET_TORCHVISION.key(path) for path in [*tree.names(params), *tree.names(stats["batch_stats"])]}
    assert len(keys) == 305
    twin = twins.GoogLeNet(classes=1000, norm=True).state_dict()
    assert keys == {key for key in twin if not key.endswith("num_batches_tracked")}
    assert tree.count(params) == 13_004_888
