from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fjdl import nn
from fjdl.functional import gelu, layer_norm, leaky_relu, relu, relu6, softplus, swish
from fjdl.interpret import guided, nonlinearities
from fjdl.models import LeNet5, MobileNetV2, cifar_resnet20, vgg11

X = jnp.array([-1.0, 0.0, 2.0, 8.0])

RECTIFIERS: dict[str, Any] = {
    "fjdl": relu,
    "fjdl, at most 6": relu6,
    "jax": jax.nn.relu,
    "jax, at most 6": jax.nn.relu6,
    "flax": linen.relu,
    "maximum": lambda x: jnp.maximum(x, 0),
    "maximum, 0 first": lambda x: jnp.maximum(0.0, x),
    "clip": lambda x: jnp.clip(x, 0, 6),
    "clamp": lambda x: jax.lax.clamp(0.0, x, 6.0),
    "where positive": lambda x: jnp.where(x > 0, x, 0),
    "where negative": lambda x: jax.lax.select(jnp.zeros_like(x) > x, jnp.zeros_like(x), x),
    "jitted": jax.jit(jax.nn.relu),
    "rematerialized": jax.checkpoint(relu),
}


@pytest.mark.parametrize("name", RECTIFIERS)
def test_a_relu_keeps_its_values_and_its_slopes_but_passes_only_positive_gradients(name: str) -> None:
    function = RECTIFIERS[name]
    changed = guided(function)
    np.testing.assert_array_equal(changed(X), function(X))
    plain = jax.grad(lambda x: jnp.sum(function(x)))(X)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(changed(x)))(X), plain)
    np.testing.assert_array_equal(jax.grad(lambda x: -jnp.sum(changed(x)))(X), jnp.zeros(4))
    (values,) = nonlinearities(function, X)["relu"].values()
    np.testing.assert_array_equal(values == 0, X <= 0)


OTHERS: dict[str, Any] = {
    "leaky": leaky_relu,
    "leaky of jax": jax.nn.leaky_relu,
    "gelu": gelu,
    "swish": swish,
    "only negative": lambda x: jnp.where(x > 0, 0, x),
    "the other's sign": lambda x: jnp.where(x[::-1] > 0, x, 0),
    "minimum": lambda x: jnp.minimum(x, 0),
    "bounded at 1": lambda x: jnp.maximum(x, 1),
    "softplus": softplus,
    "softplus of jax": jax.nn.softplus,
    "variance of a row": lambda x: layer_norm(x[None]),
    "variance of a picture": lambda x: jnp.maximum(jnp.square(x).reshape(1, 2, 2).mean((1, 2), keepdims=True) - 1, 0),
    "two values": lambda x: jnp.maximum(x, x * x),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_relu_is_none(name: str) -> None:
    assert "relu" not in nonlinearities(OTHERS[name], X)
    with pytest.raises(
        ValueError, match=r"^network must have ReLUs, max\(x, 0\), for guided backpropagation, got none$"
    ):
        guided(OTHERS[name])(X)


def test_relus_that_cannot_be_reached_are_refused() -> None:
    loop = lambda x: jax.lax.scan(lambda c, _: (relu(c), None), x, None, length=3)[0]  # noqa: E731
    with pytest.raises(
        ValueError, match=r"^network must have its ReLUs outside of loops and branches, got one in 'scan'$"
    ):
        guided(loop)(X)
    branch = lambda x: jax.lax.cond(x[0] > 0, lambda x: x, jax.nn.relu, x)  # noqa: E731
    with pytest.raises(
        ValueError, match=r"^network must have its ReLUs outside of loops and branches, got one in 'cond'$"
    ):
        guided(branch)(X)

    @jax.custom_jvp
    def block(x: Any) -> Any:
        return 2 * jax.nn.relu(jnp.dot(jnp.eye(4), x))

    block.defjvp(lambda primals, tangents: (block(*primals), tangents[0]))
    with pytest.raises(
        ValueError, match=r"^network must have its ReLUs outside of layers with a derivative of their own"
    ):
        guided(block)(X)
    assert nonlinearities(lambda x: loop(branch(block(x))), X) == {}


def test_a_relu_of_means_is_one() -> None:
    """Unlike the bound of a variance, whose axes are kept, as after a mean over all pixels."""
    pooled = lambda x: jax.nn.relu(x.mean(axis=(1, 2)))  # noqa: E731
    plain = lambda x: jnp.maximum(x.mean(axis=(1, 2)), 0)  # noqa: E731
    for network in (pooled, plain):
        assert list(nonlinearities(network, X.reshape(1, 2, 2, 1) - 1)["relu"]) == ["relu"]


def test_units_are_named_by_what_is_before_them() -> None:
    def network(x: Any) -> Any:
        with jax.named_scope("first"):
            x = 2 * x
        x = jnp.tanh(jax.nn.relu(x))
        with jax.named_scope("first"):
            x = x - 0.5
        return jax.nn.sigmoid(jax.jit(relu)(x))

    found = jax.jit(lambda x: nonlinearities(network, x))(X)
    assert {kind: list(values) for kind, values in found.items()} == {
        "relu": ["first", "first (2)"],
        "tanh": ["tanh"],
        "sigmoid": ["sigmoid"],
    }
    np.testing.assert_array_equal(found["relu"]["first"], [0, 0, 4, 16])
    np.testing.assert_allclose(found["tanh"]["tanh"], np.tanh([0, 0, 4, 16]), rtol=1e-6)


@pytest.mark.parametrize(
    ("module", "size", "relus"),
    [(LeNet5(), 28, 4), (cifar_resnet20(), 32, 19), (vgg11(classes=10), 32, 10), (MobileNetV2(classes=10), 32, 35)],
    ids=["LeNet", "ResNet", "VGG", "MobileNet"],
)
def test_every_relu_of_the_zoo_is_found(module: Any, size: int, relus: int) -> None:
    """LeNet has 2 + 2, ResNet-20 1 + 18, VGG-11 8 + 2, and MobileNet-V2 1 + 1 + 16 · 2 + 1 of them."""
    model = nn.pure(module)
    x = jax.ShapeDtypeStruct((1, size, size, 1 if size == 28 else 3), jnp.float32)
    params, stats = jax.eval_shape(model.init, jax.random.key(0), x)
    run = lambda params, stats, x: nonlinearities(lambda x: model.apply(params, stats, x)[0], x)  # noqa: E731
    found = jax.eval_shape(run, params, stats, x)
    assert list(found) == ["relu"]
    assert len(found["relu"]) == relus
    slope = lambda params, stats, x: jax.grad(lambda x: guided(lambda x: model.apply(params, stats, x)[0])(x).sum())(x)  # noqa: E731
    assert jax.eval_shape(slope, params, stats, x).shape == x.shape
    if size == 28:
        assert list(found["relu"]) == [f"LeNet5/{name}" for name in ("conv1", "conv2", "dense1", "dense2")]
