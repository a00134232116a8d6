from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import tree
from fjdl.analysis import total
from fjdl.models.zfnet import ZFNet, zfnet_paper
from fjdl.nn import pure
from tests.models.parity import random_variables

KEY = jax.random.key(0)
TINY = ZFNet(classes=5, widths=(4, 6, 8, 6, 4), hidden=8)


@pytest.mark.parametrize(
    ("network", "parameters", "macs", "pool_operations"),
    [(ZFNet, 107_627_624, 2_476_704_896, 3_168_864), (zfnet_paper, 62_357_608, 1_168_032_896, 3_085_920)],
)
def test_totals(network: Any, parameters: int, macs: int, pool_operations: int) -> None:
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    model = pure(network())
    whole = total(model.layers(x))
    assert (whole.parameters, whole.macs, whole.pool_operations) == (parameters, macs, pool_operations)
    assert tree.count(jax.eval_shape(model.init, KEY, x)[0]) == parameters


def with_torch(params: Any, x: np.ndarray) -> torch.Tensor:
    weights = jax.tree.map(torch.tensor, params)
    y = torch.tensor(x).permute(0, 3, 1, 2)
    for number, (stride, padding) in enumerate([(2, 1), (2, 0), (1, 1), (1, 1), (1, 1)], start=1):
        kernel, bias = weights[f"conv{number}"]["kernel"].permute(3, 2, 0, 1), weights[f"conv{number}"]["bias"]
        y = torch.nn.functional.conv2d(y, kernel, bias, stride=stride, padding=padding).relu()
        if number in (1, 2, 5):
            y = torch.nn.functional.max_pool2d(y, 3, 2, ceil_mode=number <= 2)
        if number <= 2:
            y = torch.nn.functional.local_response_norm(y, 5, alpha=5e-4, beta=0.75, k=2.0)
    y = y.permute(0, 2, 3, 1).flatten(1)
    for name in ("fc6", "fc7"):
        y = torch.nn.functional.linear(y, weights[name]["kernel"].T, weights[name]["bias"]).relu()
    return torch.nn.functional.linear(y, weights["logits"]["kernel"].T, weights["logits"]["bias"])


def test_it_equals_torch_and_bfloat16_is_near(rng: np.random.Generator) -> None:
    x = 30 * rng.standard_normal((2, 96, 82, 3)).astype(np.float32)
    model = pure(TINY)
    params, _ = random_variables(model, x)
    run = jax.jit(model.apply)
    logits, _ = run(params, {}, x)
    np.testing.assert_allclose(logits, with_torch(params, x), rtol=1e-4, atol=1e-3)
    half, _ = run(params, {}, x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), logits, atol=0.05 * float(jnp.abs(logits).max()))


def test_dropout_acts_in_training_only() -> None:
    x = jax.random.normal(KEY, (2, 80, 80, 3))
    model, plain = pure(TINY), pure(TINY.copy(dropout=0.0))
    params, _ = random_variables(model, x)
    trained = jax.jit(lambda key: model.apply(params, {}, x, train=True, key=key)[0])
    assert jnp.any(trained(KEY) != trained(jax.random.key(1)))
    still = jax.jit(lambda: (model.apply(params, {}, x)[0], plain.apply(params, {}, x, train=True)[0]))
    np.testing.assert_allclose(*still(), rtol=1e-6)


def test_features_are_reached_by_the_names_of_layers() -> None:
    x = jnp.zeros((2, 224, 224, 3))
    params, _ = jax.eval_shape(pure(ZFNet()).init, KEY, x)
    features, _ = jax.eval_shape(pure(ZFNet(), outputs=("norm2", "conv4", "pool5")).apply, params, {}, x)
    assert {name: value.shape[1:] for name, value in features.items()} == {
        "norm2": (13, 13, 256),
        "conv4": (13, 13, 1024),
        "pool5": (6, 6, 512),
    }
