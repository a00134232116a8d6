from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import tree
from fjdl.analysis import total
from fjdl.functional.initializers import zeros
from fjdl.models.alexnet import (
    ALEXNET_TORCHVISION,
    AdaptiveAveragePool,
    AlexNet,
    alexnet_cifar,
    alexnet_paper,
    alexnet_torchvision,
)
from fjdl.nn import pure
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.twins.alexnet import AlexNet as Twin

KEY = jax.random.key(0)
WIDTHS = (4, 6, 8, 6, 4)
TINY = partial(AlexNet, widths=WIDTHS, hidden=8, classes=5, window=5, stride=1, padding=2)


@pytest.mark.parametrize(
    ("network", "size", "parameters", "macs", "pool_operations"),
    [
        (AlexNet, 227, 62_378_344, 1_135_256_096, 1_102_176),
        (alexnet_paper, 227, 60_965_224, 724_406_816, 1_102_176),
        (alexnet_torchvision, 224, 61_100_840, 714_188_480, 794_880 + 9_216),
        (alexnet_cifar, 32, 7_139_722, 300_763_136, 328_032),
    ],
)
def test_totals(network: Any, size: int, parameters: int, macs: int, pool_operations: int) -> None:
    x = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    model = pure(network())
    whole = total(model.layers(x))
    assert (whole.parameters, whole.macs, whole.pool_operations) == (parameters, macs, pool_operations)
    params, stats = jax.eval_shape(model.init, KEY, x)
    assert tree.count(params) == parameters
    assert stats == {}


@pytest.mark.parametrize("size", [95, 224])
def test_it_equals_torch_with_torchvisions_weights(rng: np.random.Generator, size: int) -> None:
    x = rng.standard_normal((1, size, size + 1, 3)).astype(np.float32)
    model = pure(alexnet_torchvision(widths=WIDTHS, hidden=8, classes=5))
    assert_equals_twin(model, Twin(WIDTHS, hidden=8, classes=5), x, ALEXNET_TORCHVISION)


def test_torchvision_has_16_tensors_of_our_shapes() -> None:
    model = pure(alexnet_torchvision())
    params, _ = jax.eval_shape(model.init, KEY, jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32))
    keys = [ALEXNET_TORCHVISION.key(name) for name in tree.names(params)]
    assert len(set(keys)) == 16
    assert {"features.0.bias", "features.10.weight", "classifier.1.weight", "classifier.6.bias"} <= set(keys)
    assert params["fc6"]["kernel"].shape == (9216, 4096)


def with_torch(params: Any, x: np.ndarray, *, groups: int) -> torch.Tensor:
    """The paper's network on small images: ReLU, normalization over 5 channels by their sum, overlapping pools."""
    weights = jax.tree.map(torch.tensor, params)
    y = torch.tensor(x).permute(0, 3, 1, 2)
    for number, (padding, pooled) in enumerate([(2, 1), (2, 1), (1, 0), (1, 0), (1, 1)], start=1):
        kernel, bias = weights[f"conv{number}"]["kernel"].permute(3, 2, 0, 1), weights[f"conv{number}"]["bias"]
        split = groups if number in (2, 4, 5) else 1
        y = torch.nn.functional.conv2d(y, kernel, bias, padding=padding, groups=split).relu()
        if number <= 2:
            y = torch.nn.functional.local_response_norm(y, 5, alpha=5e-4, beta=0.75, k=2.0)
        y = torch.nn.functional.max_pool2d(y, 3, 2) if pooled else y
    y = y.permute(0, 2, 3, 1).flatten(1)
    for name in ("fc6", "fc7"):
        y = torch.nn.functional.linear(y, weights[name]["kernel"].T, weights[name]["bias"]).relu()
    return torch.nn.functional.linear(y, weights["logits"]["kernel"].T, weights["logits"]["bias"])


def test_the_papers_two_groups_and_norms_equal_torch_and_bfloat16_is_near(rng: np.random.Generator) -> None:
    x = 30 * rng.standard_normal((2, 17, 17, 3)).astype(np.float32)
    model = pure(TINY(groups=2))
    params, _ = random_variables(model, x)
    run = jax.jit(model.apply)
    logits, _ = run(params, {}, x)
    np.testing.assert_allclose(logits, with_torch(params, x, groups=2), rtol=1e-4, atol=1e-4)
    half, _ = run(params, {}, x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), logits, atol=0.05 * float(jnp.abs(logits).max()))


def test_the_start_is_the_papers() -> None:
    model = pure(TINY(groups=2, kernel_init=zeros()))
    params, _ = jax.jit(model.init)(KEY, jnp.zeros((1, 17, 17, 3)))
    lifted = {name for name, part in params.items() if np.all(part["bias"] == 1)}
    assert lifted == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert all(np.all(part["bias"] == 0) for name, part in params.items() if name not in lifted)
    np.testing.assert_allclose(np.std(AlexNet().kernel_init(KEY, (100, 50))), 0.01, rtol=0.05)


def test_dropout_acts_in_training_only_before_or_after_hidden_layers() -> None:
    x = jax.random.normal(KEY, (2, 17, 17, 3))
    after, before = pure(TINY()), pure(TINY(dropout_first=True))
    params, _ = random_variables(after, x)
    trained = jax.jit(lambda key: [m.apply(params, {}, x, train=True, key=key)[0] for m in (after, before)])
    still = jax.jit(lambda: [m.apply(params, {}, x)[0] for m in (after, before)])()
    np.testing.assert_allclose(still[0], still[1], rtol=1e-6)
    for first, again, other in zip(trained(KEY), trained(KEY), trained(jax.random.key(1)), strict=True):
        np.testing.assert_array_equal(first, again)
        assert jnp.any(first != other)


def test_features_are_reached_by_the_names_of_layers() -> None:
    model = pure(AlexNet(), outputs=("norm1", "pool5", "fc7"))
    params, _ = jax.eval_shape(pure(AlexNet()).init, KEY, jnp.zeros((1, 227, 227, 3)))
    features, _ = jax.eval_shape(model.apply, params, {}, jnp.zeros((2, 227, 227, 3)))
    assert {name: value.shape for name, value in features.items()} == {
        "norm1": (2, 55, 55, 96),
        "pool5": (2, 6, 6, 256),
        "fc7": (2, 4096),
    }


def test_an_adaptive_pool_reads_each_bin() -> None:
    row = AdaptiveAveragePool(6).cost((6, 4, 10))
    assert (row.output, row.pool_operations) == ((6, 6, 10), 6 * 8 * 10)  # 4 columns in 6 bins of 1, 2, 1, 1, 2, 1
    assert AdaptiveAveragePool(2).cost((5, 8, 1)).pool_operations == 6 * 8
