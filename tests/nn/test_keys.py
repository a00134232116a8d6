"""Layers, models and initial values take raw keys of `jax.random.PRNGKey` wherever they take typed ones."""

import inspect
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import linen

from fjdl import nn
from fjdl.functional import initializers
from fjdl.models import LeNet5
from tests.nn.table import LAYERS, layers
from tests.support import assert_trees_close

# One of each way to use a key: in initial values, split for pieces and for places, and in training.
VALUES = ["Conv", "Maxout", "LocallyConnected", "Dropout", "DropConnectDense", "GaussianNoise", "StochasticDepth"]
FACTORIES = {
    "constant": (2.0,), "identity": (), "normal": (0.1,), "truncated_normal": (0.1,), "uniform": (-1.0, 1.0),
    "variance_scaling": (2.0,),
}  # fmt: skip


def initialized_and_trained(module: linen.Module, shape: tuple[int, ...], key: Any) -> Any:
    train = {"train": True} if "train" in inspect.signature(type(module).__call__).parameters else {}
    x = jnp.ones((2, *shape))
    first, variables = module.init_with_output({"params": key, "dropout": key}, x, **train)
    return first, module.apply(variables, x, rngs={"dropout": key}, mutable=True, **train)


@pytest.mark.parametrize(("module", "shape"), layers())
def test_every_layer_takes_raw_keys(module: linen.Module, shape: tuple[int, ...]) -> None:
    program = partial(initialized_and_trained, module, shape)
    assert jax.eval_shape(program, jax.random.PRNGKey(0)) == jax.eval_shape(program, jax.random.key(0))


@pytest.mark.parametrize("name", VALUES)
def test_a_raw_key_gives_the_values_of_the_typed_one(name: str) -> None:
    program = partial(initialized_and_trained, *LAYERS[name])
    assert_trees_close(program(jax.random.PRNGKey(3)), program(jax.random.key(3)), rtol=0, atol=0)


def test_models_take_raw_keys() -> None:
    model = nn.functional(LeNet5())

    def trained(key: Any) -> Any:
        params, stats = model.init(key, jnp.ones((1, 28, 28, 1)))
        return model.apply(params, stats, jnp.ones((2, 28, 28, 1)), train=True, key=key)

    assert jax.eval_shape(trained, jax.random.PRNGKey(0)) == jax.eval_shape(trained, jax.random.key(0))


FACTORY_NAMES = [name for name in initializers.__all__ if name not in ("Initializer", "fans", "gain")]


@pytest.mark.parametrize("name", FACTORY_NAMES)
def test_every_initializer_takes_raw_keys(name: str) -> None:
    init = getattr(initializers, name)(*FACTORIES.get(name, ()))
    shape = (3, 3, 2, 2) if name in ("bilinear", "dirac") else (4, 3)
    assert_trees_close(init(jax.random.PRNGKey(3), shape), init(jax.random.key(3), shape), rtol=0, atol=0)
