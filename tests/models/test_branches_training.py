"""Training of GoogLeNet, Inception-v3 and DenseNet, with their auxiliary classifiers."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.losses.classification import softmax_cross_entropy
from fjdl.models.densenet import DenseNet, DenseNetSmallStem, densenet121
from fjdl.models.googlenet import GoogLeNet, googlenet_batch_norm
from fjdl.models.inception import InceptionV3
from fjdl.nn import BatchNorm, Model, pure
from fjdl.optim import adam
from tests.models.parity import random_variables

pytestmark = pytest.mark.slow

QUICK_NORM = partial(BatchNorm, epsilon=1e-3, momentum=0.5)  # few steps are enough for its statistics
DENSE: dict[str, Any] = {"stages": (3, 3, 3), "growth": 8, "width": 16, "stem": DenseNetSmallStem, "norm": QUICK_NORM}
NETWORKS = {
    "googlenet": (GoogLeNet(classes=10, dropout=0.0), 32, 60, 3e-4),
    "googlenet, batch norm": (googlenet_batch_norm(classes=10, dropout=0.0, norm=QUICK_NORM), 32, 25, 1e-3),
    "inception-v3": (InceptionV3(classes=10, dropout=0.0, norm=QUICK_NORM), 75, 20, 1e-3),
    "densenet-bc": (DenseNet(**DENSE, classes=10), 8, 40, 3e-3),
    "densenet": (DenseNet(**DENSE, classes=10, bottleneck=0, compression=1.0), 8, 40, 3e-3),
}


def step(model: Model, optimizer: Any) -> Any:
    """One step on the mean loss of all outputs, the auxiliary ones weighted by 0.3."""

    @jax.jit
    def step(params: Any, stats: Any, state: Any, batch: Any) -> Any:
        def loss(params: Any) -> Any:
            outputs, after = model.apply(params, stats, batch["image"], train=True, key=jax.random.key(1))
            outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
            losses = {name: softmax_cross_entropy(logits, batch["label"]).mean() for name, logits in outputs.items()}
            return losses.pop("logits") + 0.3 * sum(losses.values()), after

        (value, after), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), after, state, value, gradients

    return step


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(("network", "size", "steps", "rate"), NETWORKS.values(), ids=NETWORKS)
def test_it_learns_64_images_by_heart(
    rng: np.random.Generator, network: Any, size: int, steps: int, rate: float, dtype: Any
) -> None:
    batch = {
        "image": jnp.asarray(rng.standard_normal((64, size, size, 3)), dtype),
        "label": jnp.asarray(rng.integers(0, 10, 64)),
    }
    model, optimizer = pure(network), adam(rate)
    params, stats = jax.jit(model.init)(jax.random.key(0), batch["image"])
    state, advance = optimizer.init(params), step(model, optimizer)
    for _ in range(steps):
        params, stats, state, *_ = advance(params, stats, state, batch)
    logits, _ = jax.jit(model.apply)(params, stats, batch["image"])
    assert logits.dtype == dtype
    assert jnp.all(jnp.argmax(logits, axis=-1) == batch["label"])


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (GoogLeNet(auxiliary=True), 224),
        (googlenet_batch_norm(auxiliary=True), 224),
        (InceptionV3(auxiliary=True), 299),
        (densenet121(), 224),
    ],
    ids=["googlenet", "googlenet, batch norm", "inception-v3", "densenet-121"],
)
def test_a_step_at_full_size_reaches_every_parameter(rng: np.random.Generator, network: Any, size: int) -> None:
    batch = {"image": jnp.asarray(rng.standard_normal((2, size, size, 3)), jnp.float32), "label": jnp.asarray([1, 2])}
    model, optimizer = pure(network), adam(1e-3)
    params, stats = random_variables(model, batch["image"])
    _, after, _, loss, gradients = step(model, optimizer)(params, stats, optimizer.init(params), batch)
    assert jnp.isfinite(loss)
    for gradient in jax.tree.leaves(gradients):
        assert jnp.all(jnp.isfinite(gradient))
        assert jnp.any(gradient != 0)
    for old, new in zip(jax.tree.leaves(stats), jax.tree.leaves(after), strict=True):
        assert jnp.any(old != new)
