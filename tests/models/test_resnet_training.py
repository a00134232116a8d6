from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.losses.classification import softmax_cross_entropy
from fjdl.models.residual import BottleneckBlock, PreActivationBottleneckBlock, ZeroScaleBatchNorm
from fjdl.models.resnet import PreActivationResNet, ResNet, SmallStem, resnet18, resnet50, resnet50_v2
from fjdl.models.resnet_cifar import cifar_resnet20, cifar_resnet20_v2
from fjdl.models.wide_resnet import wide_resnet, wide_resnet28_10
from fjdl.nn import Model, pure
from fjdl.optim import adam
from tests.models.parity import random_variables

pytestmark = pytest.mark.slow

TINY: dict[str, Any] = {"stages": (1, 1), "width": 8, "stem": partial(SmallStem, features=8), "classes": 10}
TINY_NETWORKS = {
    "resnet18": resnet18(stages=(1, 1, 1, 1), width=8, stem=partial(SmallStem, features=8), classes=10),
    "bottleneck": ResNet(block=partial(BottleneckBlock, last_norm=ZeroScaleBatchNorm), **TINY),
    "bottleneck, pre-activation": PreActivationResNet(block=PreActivationBottleneckBlock, **TINY),
    "cifar 20": cifar_resnet20(),
    "cifar 20, pre-activation": cifar_resnet20_v2(),
    "wide": wide_resnet(10, 2),
}


def step(model: Model, optimizer: Any) -> Any:
    @jax.jit
    def step(params: Any, stats: Any, state: Any, batch: Any) -> Any:
        def loss(params: Any) -> Any:
            logits, after = model.apply(params, stats, batch["image"], train=True, key=jax.random.key(1))
            return jnp.mean(softmax_cross_entropy(logits, batch["label"])), after

        (value, after), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), after, state, value, gradients

    return step


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("network", TINY_NETWORKS.values(), ids=TINY_NETWORKS.keys())
def test_it_learns_64_images_by_heart(rng: np.random.Generator, network: Any, dtype: Any) -> None:
    batch = {
        "image": jnp.asarray(rng.standard_normal((64, 8, 8, 1)), dtype),
        "label": jnp.asarray(rng.integers(0, 10, 64)),
    }
    model, optimizer = pure(network), adam(3e-3)
    params, stats = jax.jit(model.init)(jax.random.key(0), batch["image"])
    state, advance = optimizer.init(params), step(model, optimizer)
    for _ in range(100):
        params, stats, state, *_ = advance(params, stats, state, batch)
    logits, _ = jax.jit(model.apply)(params, stats, batch["image"])
    assert logits.dtype == dtype
    assert jnp.all(jnp.argmax(logits, axis=-1) == batch["label"])


@pytest.mark.parametrize(
    ("network", "size"),
    [(resnet18, 224), (resnet50, 224), (resnet50_v2, 224), (cifar_resnet20, 32), (wide_resnet28_10, 32)],
)
def test_a_step_at_full_size_reaches_every_parameter(rng: np.random.Generator, network: Any, size: int) -> None:
    batch = {
        "image": jnp.asarray(rng.standard_normal((2, size, size, 3)), jnp.float32),
        "label": jnp.asarray([1, 2]),
    }
    model, optimizer = pure(network(classes=10)), adam(1e-3)
    params, stats = random_variables(model, batch["image"])
    _, after, _, loss, gradients = step(model, optimizer)(params, stats, optimizer.init(params), batch)
    assert jnp.isfinite(loss)
    for gradient in jax.tree.leaves(gradients):
        assert jnp.all(jnp.isfinite(gradient))
        assert jnp.any(gradient != 0)
    for old, new in zip(jax.tree.leaves(stats), jax.tree.leaves(after), strict=True):
        assert jnp.any(old != new)
