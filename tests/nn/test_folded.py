"""Batch normalizations that become part of the products before them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fjdl import nn, tree
from fjdl.models import BasicBlock, ResNet
from fjdl.nn.folded import Folded, folded
from fjdl.typing import Array, PyTree
from tests.models.families import families


class Layers(linen.Module):
    """Whatever the function does with layers."""

    run: Callable[..., Array]

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        return self.run(x, nn.BatchNorm(name="norm"), train=train)


def drawn(tree: PyTree) -> PyTree:
    """Kernels that keep the size of their inputs, and for the rest numbers about 1."""
    rng = np.random.default_rng(0)

    def draw(leaf: Any) -> np.ndarray:
        if len(leaf.shape) < 2:
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        return (rng.standard_normal(leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))).astype(np.float32)

    return jax.tree.map(draw, tree)


def compared(module: linen.Module, shape: tuple[int, ...]) -> tuple[Folded, Any, Any]:
    """The folded model, with the outputs of the module and its own."""
    model, x = nn.pure(module), jnp.asarray(np.random.default_rng(1).standard_normal((2, *shape)), jnp.float32)
    params, stats = drawn(jax.eval_shape(model.init, jax.random.key(0), x))
    result = folded(model, x)
    expected, _ = jax.jit(model.apply)(params, stats, x)
    found, _ = jax.jit(result.model.apply)(*result.fold(params, stats), x)
    return result, expected, found


PRODUCTS = {
    "dense": (nn.Dense(4), (3,)),
    "dense without bias": (nn.Dense(4, use_bias=False), (3,)),
    "conv in groups": (nn.Conv(4, 3, stride=2, groups=2), (5, 5, 2)),
    "conv1d": (nn.Conv1D(4, 3, use_bias=False), (5, 2)),
    "conv3d": (nn.Conv3D(2, 3), (4, 4, 4, 1)),
    "depthwise": (nn.DepthwiseConv(3, use_bias=False), (4, 4, 2)),
    "transposed": (nn.ConvTranspose(3, 2, stride=2), (3, 3, 2)),
}


@pytest.mark.parametrize(("layer", "shape"), PRODUCTS.values(), ids=PRODUCTS)
def test_each_product_takes_in_the_normalization_behind_it(layer: linen.Module, shape: tuple[int, ...]) -> None:
    def run(x: Array, norm: nn.BatchNorm, *, train: bool) -> Array:
        return norm(layer.copy(name="product")(x), train=train)

    result, expected, found = compared(Layers(run), shape)
    assert [(pair.product, pair.norm) for pair in result.pairs] == [("product", "norm")]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def shared(x: Array, norm: nn.BatchNorm, *, train: bool) -> Array:
    y = nn.Dense(3)(x)
    return norm(y, train=train) + y


def before(x: Array, norm: nn.BatchNorm, *, train: bool) -> Array:
    return nn.Dense(3)(jax.nn.relu(norm(x, train=train)))


def twice(x: Array, norm: nn.BatchNorm, *, train: bool) -> Array:
    dense = nn.Dense(3)
    return norm(dense(dense(x)), train=train)


def after_relu(x: Array, norm: nn.BatchNorm, *, train: bool) -> Array:
    return norm(jax.nn.relu(nn.Dense(3)(x)), train=train)


def in_groups(x: Array, norm: nn.BatchNorm, *, train: bool) -> Array:
    return norm(nn.ConvTranspose(3, 2, groups=3)(x[:, None, None]), train=train)


@pytest.mark.parametrize("run", [shared, before, twice, after_relu, in_groups])
def test_a_normalization_stays_where_it_is_not_all_that_sees_a_product(run: Callable[..., Array]) -> None:
    result, expected, found = compared(Layers(run), (3,))
    assert result.pairs == ()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.by_day_on_pin(1)
def test_a_residual_network_has_no_normalization_left() -> None:
    result, expected, found = compared(ResNet((1, 1), BasicBlock, width=8, classes=3), (16, 16, 3))
    params, stats = jax.eval_shape(result.model.init, jax.random.key(0), jnp.ones((1, 16, 16, 3)))
    assert len(result.pairs) == 7
    assert stats == {"batch_stats": {}}
    assert not [name for name in tree.names(params) if "norm" in name]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


FOLDED = {"GoogLeNet": 57, "InceptionV3": 94, "ResNet": 7, "MobileNet": 27, "MobileNetV2": 52}
NONE = {"LogisticRegression", "MLP", "LeNet5", "LeNet5_1998", "AlexNet", "ZFNet", "ConvNeXt"}


@pytest.mark.slow
@pytest.mark.parametrize(("module", "shape"), families())
def test_each_family_gives_what_it_gave(
    module: linen.Module, shape: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    result, expected, found = compared(module, shape)
    name = request.node.callspec.id
    assert (len(result.pairs) == 0) == (name in NONE)
    assert len(result.pairs) == FOLDED.get(name, len(result.pairs))
    scale = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(expected))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * scale)


def test_training_goes_on_with_statistics_that_stand_still() -> None:
    model, x = nn.pure(nn.ConvNorm(2, window=3)), jnp.ones((2, 4, 4, 1))
    result = folded(model, x)
    params, stats = result.fold(*drawn(jax.eval_shape(model.init, jax.random.key(0), x)))
    outputs, changed = result.model.apply(params, stats, x, train=True)
    assert jax.tree.leaves(changed) == []
    np.testing.assert_array_equal(outputs, result.model.apply(params, stats, x)[0])


@pytest.mark.by_day_on_pin(1)
def test_shortcuts_that_training_multiplies_and_normalizes_at_once_are_folded_too() -> None:
    model, x = nn.pure(ResNet((1, 1), BasicBlock, width=8, classes=3)), jnp.ones((2, 16, 16, 3), jnp.bfloat16)
    result = folded(model, x)
    params, stats = result.fold(*drawn(jax.eval_shape(model.init, jax.random.key(0), x)))
    outputs = jax.jit(lambda x: result.model.apply(params, stats, x, train=True)[0])(x)
    np.testing.assert_array_equal(outputs, jax.jit(lambda x: result.model.apply(params, stats, x)[0])(x))


def test_the_model_keeps_the_dtype_of_its_inputs_and_folds_behind_a_fitted_preprocessing() -> None:
    model = nn.preprocessed(nn.pure(nn.ConvNorm(2, window=1)), lambda mean, x: x - mean, fit=lambda: jnp.float32(1.0))
    x = jnp.ones((2, 2, 2, 1), jnp.float32)
    result = folded(model, x)
    params, stats = drawn(jax.eval_shape(model.init, jax.random.key(0), x))
    expected, _ = model.apply(params, stats, x)
    after = result.fold(params, stats)
    np.testing.assert_allclose(result.model.apply(*after, x)[0], expected, rtol=1e-5)
    plain = folded(nn.pure(nn.ConvNorm(2, window=1)), x)
    assert plain.model.apply(after[0], {}, x.astype(jnp.bfloat16))[0].dtype == jnp.bfloat16
