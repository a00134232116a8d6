from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import tree
from fjdl.functional.activations import tanh
from fjdl.functional.pool import max_pool2d
from fjdl.models import LeNet5, lenet5_layers
from fjdl.nn import functional
from tests.train.toy import random_params

KEY = jax.random.key(0)
VARIANTS = [((28, 28, 1), (2, 0), 61_706), ((32, 32, 3), (0, 0), 62_006), ((8, 8, 1), (2, 2), 21_386)]


def with_torch(params: Any, x: np.ndarray, *, padding: tuple[int, int], activation: Any, pool: Any) -> torch.Tensor:
    y = torch.tensor(x).permute(0, 3, 1, 2)
    weights = jax.tree.map(lambda p: torch.tensor(np.array(p)), params)
    for name, pad in zip(("conv1", "conv2"), padding, strict=True):
        kernel, bias = weights[name]["kernel"].permute(3, 2, 0, 1), weights[name]["bias"]
        y = pool(activation(torch.nn.functional.conv2d(y, kernel, bias, padding=pad)), 2)
    y = y.permute(0, 2, 3, 1).flatten(1)
    for name in ("dense1", "dense2"):
        y = activation(torch.nn.functional.linear(y, weights[name]["kernel"].T, weights[name]["bias"]))
    return torch.nn.functional.linear(y, weights["logits"]["kernel"].T, weights["logits"]["bias"])


@pytest.mark.parametrize(("shape", "padding", "count"), VARIANTS)
def test_every_layer_has_the_parameters_of_its_row_in_the_table(
    shape: tuple[int, int, int], padding: tuple[int, int], count: int
) -> None:
    params, stats = jax.eval_shape(functional(LeNet5(padding=padding)).init, KEY, jnp.zeros((1, *shape)))
    layers = lenet5_layers(shape, padding=padding)
    assert {layer.name: layer.parameters for layer in layers if layer.parameters} == {
        name: tree.count(part) for name, part in params.items()
    }
    assert tree.count(params) == count
    assert stats == {}
    assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}


def test_the_table_has_the_textbooks_shapes() -> None:
    assert [(layer.name, layer.output) for layer in lenet5_layers()] == [
        ("conv1", (28, 28, 6)),
        ("pool1", (14, 14, 6)),
        ("conv2", (10, 10, 16)),
        ("pool2", (5, 5, 16)),
        ("flatten", (400,)),
        ("dense1", (120,)),
        ("dense2", (84,)),
        ("logits", (10,)),
    ]


@pytest.mark.parametrize(("shape", "padding"), [((28, 28, 1), (2, 0)), ((8, 8, 3), (2, 2))])
def test_it_equals_torch_with_the_same_weights(
    rng: np.random.Generator, shape: tuple[int, int, int], padding: tuple[int, int]
) -> None:
    x = rng.standard_normal((4, *shape)).astype(np.float32)
    model = functional(LeNet5(padding=padding))
    params = random_params(model, x)
    logits, _ = jax.jit(model.apply)(params, {}, x)
    expected = with_torch(params, x, padding=padding, activation=torch.relu, pool=torch.nn.functional.avg_pool2d)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)


def test_activation_and_pool_can_be_chosen(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 8, 8, 1)).astype(np.float32)
    model = functional(LeNet5(padding=(2, 2), activation=tanh, pool=max_pool2d, classes=3))
    params = random_params(model, x)
    expected = with_torch(params, x, padding=(2, 2), activation=torch.tanh, pool=torch.nn.functional.max_pool2d)
    np.testing.assert_allclose(jax.jit(model.apply)(params, {}, x)[0], expected, rtol=1e-4, atol=1e-5)
    assert lenet5_layers((8, 8, 1), padding=(2, 2), classes=3)[-1].output == expected.shape[1:] == (3,)


def test_dropout_acts_in_training_only() -> None:
    x = jax.random.normal(KEY, (4, 8, 8, 1))
    model, plain = (functional(LeNet5(padding=(2, 2), dropout=rate)) for rate in (0.5, 0.0))
    params = random_params(model, x)
    still, _ = model.apply(params, {}, x)
    np.testing.assert_array_equal(still, plain.apply(params, {}, x)[0])
    first, again, other = (model.apply(params, {}, x, train=True, key=jax.random.key(seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert jnp.any(first != still)
    assert jnp.any(first != other)


def test_in_bfloat16_the_logits_stay_near() -> None:
    x = jax.random.normal(KEY, (16, 8, 8, 1))
    model = functional(LeNet5(padding=(2, 2)))
    params = random_params(model, x)
    half, _ = jax.jit(model.apply)(params, {}, x.astype(jnp.bfloat16))
    full, _ = jax.jit(model.apply)(params, {}, x)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), full, atol=0.03 * float(jnp.abs(full).max()))


def test_an_image_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        jax.eval_shape(functional(LeNet5()).init, KEY, jnp.zeros((1, 8, 8, 1)))
    with pytest.raises(ValueError, match="kernel must fit into size"):
        lenet5_layers((8, 8, 1))
