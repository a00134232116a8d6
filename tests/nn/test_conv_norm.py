from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional.rectifiers import relu6
from fjdl.nn import Dropout, pure
from fjdl.nn.conv_norm import ConvNorm, Stage
from tests.models.parity import random_variables


@pytest.mark.parametrize(("window", "stride", "groups"), [(3, 2, 4), (5, 1, 2)])
def test_it_equals_torchs_three_layers(rng: np.random.Generator, window: int, stride: int, groups: int) -> None:
    x = 3 * rng.standard_normal((2, 6, 7, 4)).astype(np.float32)
    module = ConvNorm(8, window=window, stride=stride, groups=groups, activation=relu6, epsilon=1e-3)
    params, stats = random_variables(pure(module), x)
    weights, moments = jax.tree.map(torch.tensor, params), jax.tree.map(torch.tensor, stats["batch_stats"]["norm"])
    y = torch.nn.functional.conv2d(
        torch.tensor(x).permute(0, 3, 1, 2), weights["conv"]["kernel"].permute(3, 2, 0, 1),
        stride=stride, padding=window // 2, groups=groups,
    )  # fmt: skip
    norm = weights["norm"]
    y = torch.nn.functional.batch_norm(y, moments["mean"], moments["var"], norm["scale"], norm["bias"], eps=1e-3)
    y = torch.nn.functional.relu6(y)
    ours = module.apply({"params": params, **stats}, x)
    np.testing.assert_allclose(ours, y.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


def test_a_stage_runs_its_blocks_in_a_row_under_numbers() -> None:
    x = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    stage = Stage((partial(ConvNorm, 4, stride=2), partial(ConvNorm, 6)))
    layers = pure(stage).layers(x)
    assert [(layer.name, layer.output) for layer in layers if layer.macs] == [
        ("block0/conv", (4, 4, 4)), ("block1/conv", (4, 4, 6)),
    ]  # fmt: skip
    assert pure(Stage(())).layers(x) == ()


def test_a_stage_tells_its_blocks_that_they_train() -> None:
    x = jnp.ones((2, 3))
    stage = Stage((partial(Dropout, 1.0),))
    np.testing.assert_array_equal(stage.apply({}, x), x)
    np.testing.assert_array_equal(stage.apply({}, x, train=True, rngs={"dropout": jax.random.key(0)}), 0 * x)
