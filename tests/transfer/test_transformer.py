from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

from fjdl import nn, transfer


def names(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


BLOCKS = partial(nn.TransformerDecoderBlock, 4, 2, 6)
LAYERS = torch.nn.TransformerDecoderLayer(4, 2, 6)
MODULES: dict[str, tuple[torch.nn.Module, linen.Module]] = {
    "attention": (torch.nn.MultiheadAttention(4, 2), nn.MultiHeadAttention(4, 2)),
    "cross attention": (torch.nn.MultiheadAttention(4, 2, kdim=3, vdim=3), nn.MultiHeadAttention(4, 2)),
    "stack": (
        torch.nn.TransformerDecoder(LAYERS, 2, norm=torch.nn.LayerNorm(4)),
        nn.TransformerDecoder(BLOCKS, 2, norm=nn.LayerNorm),
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_weights_of_pytorch_come_in_and_go_out_again(name: str) -> None:
    theirs, module = MODULES[name]
    memory = jnp.ones((1, 2, 3 if name == "cross attention" else 4))
    params = jax.eval_shape(module.init, jax.random.key(0), jnp.ones((1, 2, 4)), memory)["params"]
    tensors = names(theirs)
    own, _ = transfer.from_torch(transfer.split_projections(tensors), params, {}, transfer.TRANSFORMER)
    back = transfer.join_projections(transfer.to_torch(own, {}, transfer.TRANSFORMER))
    if name == "cross attention":
        back = {key: value for key, value in back.items() if not key.endswith("_bias")}
        tensors = {key: value for key, value in tensors.items() if not key.endswith("_bias")}
    assert back.keys() == tensors.keys()
    for key, value in tensors.items():
        np.testing.assert_array_equal(back[key], value)


def test_a_query_kernel_is_the_first_third_transposed() -> None:
    tensors: dict[str, Any] = {"a.in_proj_weight": np.arange(12).reshape(6, 2), "b.weight": np.ones(1)}
    apart = transfer.split_projections(tensors)
    assert apart.keys() == {"a.q_proj_weight", "a.k_proj_weight", "a.v_proj_weight", "b.weight"}
    np.testing.assert_array_equal(apart["a.v_proj_weight"], [[8, 9], [10, 11]])
