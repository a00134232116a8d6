from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.models.wide_resnet import (
    WIDE_RESNET_XTERNALZ,
    wide_resnet,
    wide_resnet16_4,
    wide_resnet16_8,
    wide_resnet28_10,
    wide_resnet40_2,
    wide_resnet40_4,
)
from fjdl.nn import pure
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.twins.resnet import WideResNet

KEY = jax.random.key(0)


def test_it_equals_torch(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 9, 8, 3)).astype(np.float32)
    assert_equals_twin(pure(wide_resnet(10, 2)), WideResNet(1, 2), x, WIDE_RESNET_XTERNALZ)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (wide_resnet16_4, 2_748_890),
        pytest.param(wide_resnet16_8, 10_961_370, marks=pytest.mark.slow),
        pytest.param(wide_resnet28_10, 36_479_194, marks=pytest.mark.slow),
        pytest.param(wide_resnet40_2, 2_243_546, marks=pytest.mark.slow),
        pytest.param(wide_resnet40_4, 8_949_210, marks=pytest.mark.slow),
    ],
)
def test_parameters_and_their_table(network: partial, count: int) -> None:
    model = pure(network())
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params, _ = jax.eval_shape(model.init, KEY, x)
    assert sum(row.parameters for row in model.layers(x)) == tree.count(params) == count


def test_dropout_acts_in_training_only(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 4, 3)).astype(np.float32)
    model, plain = (pure(wide_resnet(10, 1, dropout=rate)) for rate in (0.3, 0.0))
    params, stats = random_variables(model, x)
    run = jax.jit(lambda key: model.apply(params, stats, x, train=True, key=key)[0])
    first, again, other = (run(jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert jnp.any(first != other)
    still, expected = (jax.jit(m.apply)(params, stats, x)[0] for m in (model, plain))
    np.testing.assert_array_equal(still, expected)


def test_a_depth_that_is_not_6n_plus_4_is_refused() -> None:
    for depth in (4, 17, 30):
        with pytest.raises(ValueError, match=f"depth must be 6n \\+ 4 with a positive n, got {depth}"):
            wide_resnet(depth, 2)
