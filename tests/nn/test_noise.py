from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fjdl.functional.dropout import classic_dropout_inference
from fjdl.functional.linear import linear
from fjdl.nn.model import pure
from fjdl.nn.noise import (
    ClassicDropout,
    DropConnectDense,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout,
    StochasticDepth,
)

KEY = jax.random.key(0)
X = jnp.ones((40, 3, 3, 5))


def train(module: linen.Module, x: Any, seed: int = 0, params: Any = None) -> Any:
    return _train(module, {"params": params or {}}, x, jax.random.key(seed))


@partial(jax.jit, static_argnums=0)
def _train(module: linen.Module, variables: Any, x: Any, key: Any) -> Any:
    return module.apply(variables, x, train=True, rngs={"dropout": key})


STILL = [SpatialDropout(0.5), StochasticDepth(0.5), GaussianNoise(0.5), GaussianDropout(0.5)]


@pytest.mark.parametrize("module", STILL, ids=lambda m: type(m).__name__)
def test_noise_is_the_identity_outside_of_training_and_follows_its_key_inside(module: linen.Module) -> None:
    assert module.init(KEY, X, train=False) == {}
    assert module.apply({}, X, train=False) is X
    first, again, other = (train(module, X, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert jnp.any(first != other)
    assert abs(jnp.mean(first) - 1) < 0.6


@pytest.mark.parametrize(
    "module", [ClassicDropout(0.0), SpatialDropout(0.0), StochasticDepth(0.0), GaussianNoise(0.0), GaussianDropout(0.0)]
)
def test_without_noise_no_key_is_needed(module: linen.Module) -> None:
    np.testing.assert_array_equal(module.apply({}, X, train=True), X)


def test_channels_and_branches_are_dropped_as_a_whole() -> None:
    for module, axes in ((SpatialDropout(0.5), (1, 2)), (StochasticDepth(0.5), (1, 2, 3))):
        gone = np.asarray(train(module, X) == 0)
        np.testing.assert_array_equal(gone.all(axes), gone.any(axes))
        assert 0.2 < gone.mean() < 0.8


def test_classic_dropout_scales_at_prediction_and_not_in_training() -> None:
    module = ClassicDropout(0.25)
    assert set(np.unique(train(module, X))) == {0, 1}
    np.testing.assert_array_equal(module.apply({}, X, train=False), classic_dropout_inference(X, rate=0.25))


def test_drop_connect_is_dense_outside_of_training() -> None:
    module, x = DropConnectDense(4, 0.5), jax.random.normal(KEY, (6, 5))
    params, _ = pure(module).init(KEY, x)
    assert jax.tree.map(jnp.shape, params) == {"kernel": (5, 4), "bias": (4,)}
    still = module.apply({"params": params}, x, train=False)
    np.testing.assert_array_equal(still, linear(x, params["kernel"], params["bias"]))
    assert jnp.any(train(module, x, params=params) != still)
    assert DropConnectDense(4, 0.5, use_bias=False).init(KEY, x, train=False)["params"].keys() == {"kernel"}


def test_drop_connect_learns_only_the_weights_that_it_kept() -> None:
    module, x = DropConnectDense(4, 0.5), jnp.ones((6, 50))
    params = module.init(KEY, x, train=False)["params"]
    gradient = jax.grad(lambda p: jnp.sum(train(module, x, params=p)))(params)["kernel"]
    assert set(np.unique(gradient)) == {0, 12}
