from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.functional.activations import tanh
from fjdl.models import MLP
from fjdl.nn import pure
from tests.train.toy import random_params

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (5, 8, 8, 1))


@pytest.mark.parametrize(("hidden", "count"), [((), 650), ((16,), 1210), ((128, 64), 17226)])
def test_every_layer_has_the_parameters_of_its_row_in_the_table(hidden: tuple[int, ...], count: int) -> None:
    model = pure(MLP(hidden=hidden, classes=10))
    params, stats = jax.eval_shape(model.init, KEY, X)
    layers = model.layers(X)
    assert {layer.name: layer.parameters for layer in layers if layer.parameters} == {
        name: tree.count(part) for name, part in params.items()
    }
    assert [layer.output for layer in layers] == [(64,), *((width,) for width in hidden), (10,)]
    assert tree.count(params) == count
    assert stats == {}
    assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
    ("module", "activation"),
    [
        (MLP(hidden=(7, 6), classes=3), lambda y: np.maximum(y, 0)),
        (MLP(hidden=(7, 6), classes=3, activation=tanh), np.tanh),
    ],
    ids=["relu", "tanh"],
)
def test_it_is_what_numpy_computes(module: MLP, activation: Any) -> None:
    model = pure(module)
    params = random_params(model, X)
    y = np.asarray(X).reshape(5, 64)
    for name in ("hidden1", "hidden2"):
        y = activation(y @ params[name]["kernel"] + params[name]["bias"])
    expected = y @ params["logits"]["kernel"] + params["logits"]["bias"]
    np.testing.assert_allclose(jax.jit(model.apply)(params, {}, X)[0], expected, rtol=1e-4, atol=1e-5)


def test_hidden_layers_start_with_hes_spread_and_the_logits_within_glorots_bounds() -> None:
    params, _ = pure(MLP(hidden=(400,), classes=100)).init(KEY, jnp.zeros((1, 200)))
    np.testing.assert_allclose(np.std(params["hidden1"]["kernel"]), np.sqrt(2 / 200), rtol=0.02)
    bound = np.sqrt(6 / 500)
    np.testing.assert_allclose(np.abs(params["logits"]["kernel"]).max(), bound, rtol=0.01)


def test_dropout_acts_in_training_only() -> None:
    model, plain = (pure(MLP(hidden=(50,), classes=10, dropout=rate)) for rate in (0.5, 0.0))
    params = random_params(model, X)
    still, _ = model.apply(params, {}, X)
    np.testing.assert_array_equal(still, plain.apply(params, {}, X)[0])
    moved, _ = model.apply(params, {}, X, train=True, key=KEY)
    assert jnp.any(moved != still)
