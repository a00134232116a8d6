from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.nn import (
    AdaptiveAveragePool,
    AdaptiveAveragePool1D,
    AdaptiveAveragePool3D,
    AveragePool,
    Flatten,
    GlobalAveragePool,
    MaxPool,
)

POOLS = [
    ({"window": 2}, {"kernel_size": 2}),
    ({"window": 3, "stride": 2, "padding": 1}, {"kernel_size": 3, "stride": 2, "padding": 1}),
    ({"window": 3, "stride": 2, "ceil_mode": True}, {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    (
        {"window": (2, 3), "stride": (3, 2), "padding": ((1, 1), (0, 0)), "ceil_mode": True},
        {"kernel_size": (2, 3), "stride": (3, 2), "padding": (1, 0), "ceil_mode": True},
    ),
]


def expected(module: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    return np.moveaxis(module(torch.tensor(np.moveaxis(x, -1, 1))).numpy(), 1, -1)


@pytest.mark.parametrize(("options", "theirs"), POOLS)
def test_pools_equal_torch(rng: np.random.Generator, options: Any, theirs: Any) -> None:
    x = rng.standard_normal((2, 8, 7, 3)).astype(np.float32)
    outside = {**options, "count_include_pad": False}, {**theirs, "count_include_pad": False}
    for module, twin in (
        (MaxPool(**options), torch.nn.MaxPool2d(**theirs)),
        (AveragePool(**options), torch.nn.AvgPool2d(**theirs)),
        (AveragePool(**outside[0]), torch.nn.AvgPool2d(**outside[1])),
    ):
        outputs = jax.jit(lambda x, module=module: module.apply({}, x))(x)
        np.testing.assert_allclose(outputs, expected(twin, x), rtol=1e-5, atol=1e-6)
        row = module.cost(x.shape[1:])
        assert row.output == outputs.shape[1:]
        assert row.pool_operations == outputs[0].size * np.prod(np.broadcast_to(options["window"], 2))
        assert (row.parameters, row.macs) == (0, 0)


@pytest.mark.parametrize("size", [4, 5, 6, 7, 8])
@pytest.mark.parametrize(
    ("window", "stride", "padding"), [(2, 2, 0), (2, 2, 1), (3, 2, 0), (3, 2, 1), (2, 3, 1), (3, 4, 1)]
)
def test_sizes_with_ceil_mode_are_torchs(size: int, window: int, stride: int, padding: int) -> None:
    theirs = torch.nn.MaxPool2d(window, stride, padding, ceil_mode=True)(torch.zeros(1, 1, size, size + 1)).shape[2:]
    for pool in (MaxPool, AveragePool):
        module = pool(window, stride=stride, padding=padding, ceil_mode=True)
        assert module.cost((size, size + 1, 1)).output == (*theirs, 1)
        outputs = jax.eval_shape(lambda x, module=module: module.apply({}, x), jnp.zeros((1, size, size + 1, 1)))
        assert outputs.shape == (1, *theirs, 1)


def test_the_global_mean_is_one_number_for_each_channel(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 5, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(GlobalAveragePool().apply({}, x), x.mean((1, 2)), rtol=1e-4, atol=1e-6)
    row = GlobalAveragePool().cost((5, 4, 3))
    assert (row.output, row.pool_operations, row.parameters) == ((3,), 60, 0)
    assert GlobalAveragePool().apply({}, jnp.ones((1, 2, 2, 3), jnp.bfloat16)).dtype == jnp.bfloat16  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("module", "twin"),
    [
        (AdaptiveAveragePool1D(3), torch.nn.AdaptiveAvgPool1d(3)),
        (AdaptiveAveragePool(3), torch.nn.AdaptiveAvgPool2d(3)),
        (AdaptiveAveragePool3D(3), torch.nn.AdaptiveAvgPool3d(3)),
    ],
)
def test_adaptive_pools_equal_torch_and_count_what_they_add(rng: np.random.Generator, module: Any, twin: Any) -> None:
    axes = {"AdaptiveAveragePool1D": 1, "AdaptiveAveragePool": 2, "AdaptiveAveragePool3D": 3}[type(module).__name__]
    x = rng.standard_normal((2, *(4, 6, 2)[:axes], 3)).astype(np.float32)
    y = module.apply({}, x)
    np.testing.assert_allclose(y, expected(twin, x), rtol=1e-5, atol=1e-6)
    row = module.cost(x.shape[1:])
    assert row.output == y.shape[1:]
    # bins of 4 entries: [0, 2), [1, 3), [2, 4); of 6: pairs; of 2: [0, 1), [0, 2), [1, 2)
    assert row.pool_operations == np.prod([6, 6, 4][:axes]) * 3


def test_flattening_keeps_rows_first_and_channels_last() -> None:
    x = jnp.arange(24.0).reshape(2, 2, 3, 2)
    np.testing.assert_array_equal(Flatten().apply({}, x), np.arange(24.0).reshape(2, 12))
    assert Flatten().cost((2, 3, 2)).output == (12,)


def test_a_pool_has_no_parameters() -> None:
    for module in (MaxPool(2), AveragePool(2), GlobalAveragePool(), Flatten()):
        assert jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 4, 4, 1))) == {}
