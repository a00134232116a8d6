from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen

from fjdl.analysis import Layer
from fjdl.nn import trace
from fjdl.nn.gating import LayerScale, SqueezeExcitation


def rows(module: Callable[..., linen.Module], shape: tuple[int, ...]) -> tuple[Layer, ...]:
    return tuple(trace.layers(Apart(module), jax.ShapeDtypeStruct((1, *shape), jnp.float32)))


class Apart(linen.Module):
    part: Callable[..., linen.Module]

    @linen.compact
    def __call__(self, x: Any, *, train: bool) -> Any:
        return self.part(name="part")(x)


def test_squeeze_and_excitation_equals_torch(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 6)).astype(np.float32)
    module = SqueezeExcitation(2)
    params = {
        "reduce": {"kernel": rng.standard_normal((1, 1, 6, 2)), "bias": rng.standard_normal(2)},
        "expand": {"kernel": rng.standard_normal((1, 1, 2, 6)), "bias": rng.standard_normal(6)},
    }
    weights = jax.tree.map(torch.tensor, params)
    mean = torch.tensor(x, dtype=torch.float64).mean((1, 2))
    hidden = torch.relu(mean @ weights["reduce"]["kernel"][0, 0] + weights["reduce"]["bias"])
    gate = torch.sigmoid(hidden @ weights["expand"]["kernel"][0, 0] + weights["expand"]["bias"])
    y = module.apply({"params": jax.tree.map(jnp.float32, params)}, x)
    np.testing.assert_allclose(y, x * gate.numpy()[:, None, None], rtol=1e-5, atol=1e-6)


def test_its_rows_are_those_of_its_layers() -> None:
    layers = rows(partial(SqueezeExcitation, 4), (7, 7, 16))
    assert [(layer.name, layer.output, layer.parameters, layer.macs) for layer in layers] == [
        ("part/pool", (16,), 0, 0), ("part/reduce", (1, 1, 4), 68, 64), ("part/expand", (1, 1, 16), 80, 64),
    ]  # fmt: skip


def test_layer_scale_multiplies_each_channel_from_its_value_on(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 5, 3)).astype(np.float32)
    module = LayerScale(0.5)
    params = module.init(jax.random.key(0), x)["params"]
    np.testing.assert_array_equal(module.apply({"params": params}, x), 0.5 * x)
    gamma = np.array([1, -2, 4], np.float32)
    np.testing.assert_array_equal(module.apply({"params": {"gamma": gamma}}, x), x * gamma)
    half = module.apply({"params": {"gamma": jnp.asarray(gamma)}}, jnp.asarray(x, jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    assert [layer.parameters for layer in rows(LayerScale, (7, 7, 16))] == [16]
