"""A network trained on one task learns another: its head alone, then its last layers, each part at its own rate."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import tree
from fjdl.losses import reduce, softmax_cross_entropy
from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.optim import FROZEN, adam, chain, partition, scale_by_path, sgd, stop_frozen
from fjdl.transfer import layerwise_rates, replace_head
from tests.train.toy import digit_arrays

HEAD_ALONE = [("logits/.*", adam(1e-2)), (".*", FROZEN)]
LAST_LAYERS = [("logits/.*|hidden2/.*", adam(1e-2)), (".*", FROZEN)]


def task(low: int) -> tuple[Any, Any]:
    """The digits from `low` to `low + 4` as pixels and labels from 0."""
    arrays = digit_arrays()
    chosen = (arrays["label"] >= low) & (arrays["label"] < low + 5)
    return jnp.asarray(arrays["image"][chosen] / 16, jnp.float32), jnp.asarray(arrays["label"][chosen] - low)


def model(classes: int) -> Any:
    return pure(MLP(hidden=(32, 16), classes=classes))


def trained(net: Any, params: Any, rules: Any, images: Any, labels: Any, *, steps: int = 40) -> Any:
    optimizer = partition(rules)

    def loss(params: Any) -> Any:
        logits, _ = net.apply(stop_frozen(params, rules), {}, images)
        return reduce.mean(softmax_cross_entropy(logits, labels))

    def step(carry: Any, _: None) -> tuple[Any, None]:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    run = jax.jit(lambda params: jax.lax.scan(step, (params, optimizer.init(params)), length=steps)[0][0])
    return run(params)


def accuracy(net: Any, params: Any, images: Any, labels: Any) -> float:
    return float(jnp.mean(jnp.argmax(net.apply(params, {}, images)[0], axis=1) == labels))


@pytest.fixture(scope="module")
def pretrained() -> Any:
    net = model(5)
    images, labels = task(0)
    params, _ = net.init(jax.random.key(0), images[:1])
    params = trained(net, params, [(".*", adam(1e-2))], images, labels)
    assert accuracy(net, params, images, labels) > 0.95
    return params


@pytest.mark.parametrize(("rules", "still"), [(HEAD_ALONE, ("hidden1", "hidden2")), (LAST_LAYERS, ("hidden1",))])
def test_a_new_head_learns_while_frozen_layers_keep_every_bit(pretrained: Any, rules: Any, still: Any) -> None:
    net = model(3)
    images, labels = (array[task(5)[1] < 3] for array in task(5))
    fresh, _ = net.init(jax.random.key(1), images[:1])
    start = replace_head(pretrained, fresh)
    before = accuracy(net, start, images, labels)
    after = trained(net, start, rules, images, labels)
    for name, part in after.items():
        assert (tree.digest(part) == tree.digest(start[name])) == (name in still)
    assert accuracy(net, after, images, labels) > before + 0.3


def test_earlier_layers_move_by_the_decay_of_the_later_ones(pretrained: Any) -> None:
    rates = layerwise_rates(("hidden1/.*", "hidden2/.*", "logits/.*"), decay=0.5)
    optimizer = chain(sgd(1.0), scale_by_path(rates))
    ones = jax.tree.map(jnp.ones_like, pretrained)
    updates, _ = optimizer.update(ones, optimizer.init(pretrained), pretrained)
    moved = {name: float(np.unique(part["kernel"]).item()) for name, part in updates.items()}
    assert moved == {"hidden1": -0.25, "hidden2": -0.5, "logits": -1.0}
