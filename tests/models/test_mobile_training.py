from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.losses.classification import softmax_cross_entropy
from fjdl.models.convnext import ConvNeXt, ConvNeXtBlock, convnext_tiny
from fjdl.models.efficientnet import EfficientNet, EfficientNetStage, MBConv, efficientnet_b0
from fjdl.models.mobilenet import DepthwiseSeparable, MobileNet
from fjdl.models.mobilenet_v2 import InvertedResidual, MobileNetV2
from fjdl.nn import Model, pure
from fjdl.optim import adam, sgd
from tests.models.parity import random_variables

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)
SMALL = {
    "mobilenet": MobileNet(classes=10, alpha=0.5, stem_stride=1, stages=((64, 1, 1), (128, 1, 2), (128, 2, 2))),
    "mobilenet v2": MobileNetV2(
        classes=10, alpha=0.5, stem_stride=1, stages=((1, 16, 1, 1), (6, 32, 2, 2), (6, 64, 2, 2))
    ),
    "efficientnet": EfficientNet(
        classes=10,
        width=0.5,
        momentum=0.9,
        stages=(
            EfficientNetStage(1, 3, 1, 32, 1),
            EfficientNetStage(4, 3, 2, 48, 2),
            EfficientNetStage(4, 5, 1, 64, 1),
        ),
    ),
    "convnext": ConvNeXt(classes=10, widths=(24, 48), depths=(1, 2), patch=2),
}
FULL = {
    "mobilenet": MobileNet(),
    "mobilenet v2": MobileNetV2(),
    "efficientnet": efficientnet_b0(stochastic_depth=0.0),
    "convnext": convnext_tiny(stochastic_depth=0.0),
}


def step(model: Model, optimizer: optax.GradientTransformation) -> Any:
    """A jitted step that also says which parameters have a finite gradient that is not all zero."""

    @jax.jit
    def step(params: Any, stats: Any, state: Any, batch: Any, key: Any) -> Any:
        def loss(params: Any) -> Any:
            logits, after = model.apply(params, stats, batch["image"], train=True, key=key)
            return jnp.mean(softmax_cross_entropy(logits, batch["label"])), after

        (value, after), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state, params)
        reached = jax.tree.map(lambda g: jnp.all(jnp.isfinite(g)) & jnp.any(g != 0), gradients)
        return optax.apply_updates(params, updates), after, state, value, reached

    return step


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("network", SMALL.values(), ids=SMALL.keys())
def test_it_learns_64_images_by_heart(rng: np.random.Generator, network: Any, dtype: Any) -> None:
    batch = {
        "image": jnp.asarray(rng.standard_normal((64, 16, 16, 3)), dtype),
        "label": jnp.asarray(rng.integers(0, 10, 64)),
    }
    model, optimizer = pure(network), adam(3e-3)
    params, stats = jax.jit(model.init)(KEY, batch["image"])
    state, advance = optimizer.init(params), step(model, optimizer)
    predict = jax.jit(lambda *variables: model.apply(*variables, batch["image"])[0])
    for turn in range(500):
        params, stats, state, *_ = advance(params, stats, state, batch, jax.random.key(turn))
        if turn % 25 == 24 and jnp.all(jnp.argmax(predict(params, stats), axis=-1) == batch["label"]):
            break
    logits = predict(params, stats)
    assert logits.dtype == dtype
    assert jnp.all(jnp.argmax(logits, axis=-1) == batch["label"])


@pytest.mark.parametrize("network", FULL.values(), ids=FULL.keys())
def test_a_step_at_full_size_reaches_every_parameter(rng: np.random.Generator, network: Any) -> None:
    """Without stochastic depth, which may drop a block for both images."""
    batch = {"image": jnp.asarray(rng.standard_normal((2, 224, 224, 3)), jnp.float32), "label": jnp.asarray([1, 2])}
    model, optimizer = pure(network), sgd(1e-3)
    params, stats = random_variables(model, batch["image"])
    _, after, _, loss, reached = step(model, optimizer)(params, stats, optimizer.init(params), batch, KEY)
    assert jnp.isfinite(loss)
    assert all(jax.tree.leaves(reached))
    assert all(np.any(old != new) for old, new in zip(*map(jax.tree.leaves, (stats, after)), strict=True))


@pytest.mark.parametrize(
    ("block", "deviations"),
    [
        (DepthwiseSeparable(256), {"depthwise/conv": 1, "pointwise/conv": 1}),
        (InvertedResidual(256), {"expand/conv": 1, "depthwise/conv": 1, "project/conv": 1}),
        (
            MBConv(256, window=5),
            {
                "expand/conv": (2 / (6 * 64)) ** 0.5,
                "depthwise/conv": (2 / 25) ** 0.5,
                "excitation/reduce": (2 / 16) ** 0.5,
                "excitation/expand": (2 / (6 * 64)) ** 0.5,
                "project/conv": (2 / 256) ** 0.5,
            },
        ),
        (ConvNeXtBlock(), {"depthwise": 0.02, "expand": 0.02, "project": 0.02}),
    ],
    ids=["mobilenet", "mobilenet v2", "efficientnet", "convnext"],
)
def test_kernels_start_with_the_deviation_of_the_paper(block: Any, deviations: dict[str, float]) -> None:
    """The blocks of both MobileNets start as `ConvNorm` does unless their network says otherwise."""
    params = jax.jit(pure(block).init)(KEY, jnp.zeros((1, 4, 4, 64)))[0]
    for path, deviation in deviations.items():
        kernel = params
        for name in path.split("/"):
            kernel = kernel[name]
        spread = deviation if deviation != 1 else np.sqrt(2 / np.prod(kernel["kernel"].shape[:-1]))
        assert np.std(kernel["kernel"]) == pytest.approx(spread, rel=0.1)
        assert not np.any(kernel.get("bias", 0))


@pytest.mark.parametrize(
    "network", [MobileNet(stages=((64, 1, 1),)), MobileNetV2(stages=((1, 16, 1, 1),))], ids=["v1", "v2"]
)
def test_kernels_of_mobilenet_start_cut_at_two_deviations_of_the_authors_code(network: Any) -> None:
    params = jax.jit(pure(network).init)(KEY, jnp.zeros((1, 32, 32, 3)))[0]
    for kernel in (params["stem"]["conv"]["kernel"], params["logits"]["kernel"]):
        assert np.std(kernel) == pytest.approx(0.88 * 0.09, rel=0.1)
        assert np.max(np.abs(kernel)) <= 0.18


def test_the_last_layer_of_efficientnet_starts_uniform() -> None:
    small = EfficientNet(classes=100, width=0.25, stages=(EfficientNetStage(1, 3, 1, 16, 1),))
    kernel = jax.jit(pure(small).init)(KEY, jnp.zeros((1, 8, 8, 3)))[0]["logits"]["kernel"]
    assert 0.099 < np.max(np.abs(kernel)) <= 0.1
    assert np.std(kernel) == pytest.approx(0.1 / np.sqrt(3), rel=0.02)


def test_a_new_block_of_convnext_is_nearly_the_identity() -> None:
    x = jax.random.normal(KEY, (1, 8, 8, 4))
    model = pure(ConvNeXtBlock())
    params, stats = jax.jit(model.init)(KEY, x)
    np.testing.assert_array_equal(params["scale"]["gamma"], np.full(4, 1e-6, np.float32))
    np.testing.assert_allclose(model.apply(params, stats, x)[0], x, atol=1e-5)


@pytest.mark.parametrize("block", [partial(MBConv, 4, expansion=1), ConvNeXtBlock], ids=["mbconv", "convnext"])
def test_a_block_that_is_always_dropped_is_its_shortcut(block: Any) -> None:
    x = jnp.ones((2, 3, 3, 4))
    model = pure(block(stochastic_depth=1.0))
    params, stats = random_variables(model, x)
    train = jax.jit(lambda key: model.apply(params, stats, x, train=True, key=key)[0])
    np.testing.assert_array_equal(train(KEY), x)
    assert np.any(model.apply(params, stats, x)[0] != x)
