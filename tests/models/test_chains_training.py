from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.functional.initializers import he_normal
from fjdl.losses.classification import softmax_cross_entropy
from fjdl.models.alexnet import AlexNet, alexnet_cifar, alexnet_paper, alexnet_torchvision
from fjdl.models.lenet import LeNet5, LeNet5_1998
from fjdl.models.vgg import vgg11, vgg16, vgg16_cifar
from fjdl.models.zfnet import ZFNet
from fjdl.nn import Model, pure
from fjdl.optim import adam, sgd
from tests.models.parity import random_variables

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"widths": (16, 32, 48, 48, 32), "classes": 10}
TINY_NETWORKS = {
    "lenet": (LeNet5(padding=(2, 2)), (8, 8, 1), 3e-3),
    "lenet of 1998": (LeNet5_1998(), (32, 32, 1), 3e-3),
    "lenet of 1998, dense": (LeNet5_1998(codes=None), (32, 32, 1), 3e-3),
    "alexnet": (alexnet_cifar(hidden=128, **SMALL), (17, 17, 3), 1e-3),
    "alexnet in two groups": (alexnet_cifar(hidden=128, groups=2, **SMALL), (17, 17, 3), 1e-3),
    "zfnet": (ZFNet(hidden=128, kernel_init=he_normal(), **SMALL), (80, 80, 3), 1e-3),
    "vgg16": (vgg16_cifar(**SMALL), (32, 32, 3), 3e-3),
    "vgg11 without batch norm": (vgg11(hidden=(128, 128), kernel_init=he_normal(), **SMALL), (32, 32, 3), 1e-3),
}


def step(model: Model, optimizer: optax.GradientTransformation) -> Any:
    @partial(jax.jit, donate_argnums=(0, 1, 2))
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
@pytest.mark.parametrize(("network", "shape", "rate"), TINY_NETWORKS.values(), ids=TINY_NETWORKS.keys())
def test_it_learns_64_images_by_heart(
    rng: np.random.Generator, network: Any, shape: tuple[int, int, int], rate: float, dtype: Any
) -> None:
    batch = {
        "image": jnp.asarray(rng.standard_normal((64, *shape)), dtype),
        "label": jnp.asarray(rng.integers(0, 10, 64)),
    }
    model, optimizer = pure(network), adam(rate)
    params, stats = jax.jit(model.init)(jax.random.key(0), batch["image"])
    state, advance = optimizer.init(params), step(model, optimizer)
    predict = jax.jit(lambda *variables: model.apply(*variables, batch["image"])[0])
    for turn in range(400):
        params, stats, state, *_ = advance(params, stats, state, batch, jax.random.key(turn))
        if turn % 20 == 19 and jnp.all(jnp.argmax(predict(params, stats), axis=-1) == batch["label"]):
            break
    logits = predict(params, stats)
    assert logits.dtype == dtype
    assert jnp.all(jnp.argmax(logits, axis=-1) == batch["label"])


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (LeNet5, (28, 28, 1)),
        (LeNet5_1998, (32, 32, 1)),
        (AlexNet, (227, 227, 3)),
        (alexnet_paper, (227, 227, 3)),
        (alexnet_torchvision, (224, 224, 3)),
        (ZFNet, (224, 224, 3)),
        (vgg11, (224, 224, 3)),
        (partial(vgg16, batch_norm=True), (224, 224, 3)),
        (vgg16_cifar, (32, 32, 3)),
    ],
)
def test_a_step_at_full_size_reaches_every_parameter(
    rng: np.random.Generator, network: Any, shape: tuple[int, int, int]
) -> None:
    batch = {"image": jnp.asarray(rng.standard_normal((2, *shape)), jnp.float32), "label": jnp.asarray([1, 2])}
    model, optimizer = pure(network()), sgd(1e-3)
    params, stats = jax.tree.map(jnp.asarray, random_variables(model, batch["image"]))
    before = jax.tree.map(np.asarray, stats)
    _, after, _, loss, reached = step(model, optimizer)(params, stats, optimizer.init(params), batch, jax.random.key(0))
    assert jnp.isfinite(loss)
    assert all(jax.tree.leaves(reached))
    assert all(np.any(old != new) for old, new in zip(*map(jax.tree.leaves, (before, after)), strict=True))
