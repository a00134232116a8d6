"""Blocks of transformers beside PyTorch's with the same weights."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import nn
from fjdl.functional import gelu
from tests.nn.test_attention import LENGTHS, drawn, equal, normal
from tests.support import assert_trees_close, float64

PADDING = np.arange(4) >= LENGTHS[:, None]


@pytest.mark.parametrize(("pre_norm", "dtype"), [(False, "float64"), (True, "float32")])
def test_the_encoder_equals_torch(pre_norm: bool, dtype: str, rng: np.random.Generator) -> None:
    layer = torch.nn.TransformerEncoderLayer(6, 2, 5, norm_first=pre_norm, activation="gelu", batch_first=True)
    theirs = drawn(torch.nn.TransformerEncoder(layer, 2, torch.nn.LayerNorm(6), enable_nested_tensor=False), dtype)
    block = partial(nn.TransformerEncoderBlock, 6, 2, 5, pre_norm=pre_norm, activation=gelu)
    with float64() if dtype == "float64" else jax.enable_x64(False):
        equal(
            theirs,
            nn.TransformerEncoder(block, 2, norm=nn.LayerNorm),
            [normal(rng, dtype, 2, 4, 6)],
            ours={"lengths": LENGTHS.astype(np.int32)},
            options=lambda x: theirs(x, src_key_padding_mask=torch.tensor(PADDING)),
            counted=~PADDING[..., None],
        )


@pytest.mark.parametrize(("pre_norm", "dtype"), [(True, "float64"), (False, "float32")])
def test_the_decoder_equals_torch(pre_norm: bool, dtype: str, rng: np.random.Generator) -> None:
    layer = torch.nn.TransformerDecoderLayer(6, 2, 5, norm_first=pre_norm, batch_first=True)
    theirs = drawn(torch.nn.TransformerDecoder(layer, 1), dtype)
    future = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)
    with float64() if dtype == "float64" else jax.enable_x64(False):
        equal(
            theirs,
            nn.TransformerDecoder(partial(nn.TransformerDecoderBlock, 6, 2, 5, pre_norm=pre_norm), 1),
            [normal(rng, dtype, 2, 3, 6), normal(rng, dtype, 2, 4, 6)],
            ours={"memory_lengths": LENGTHS.astype(np.int32)},
            options=lambda x, memory: theirs(x, memory, tgt_mask=future, memory_key_padding_mask=torch.tensor(PADDING)),
            counted=np.ones((2, 3, 1), bool),
        )


def test_padding_of_either_sequence_reaches_nothing(rng: np.random.Generator) -> None:
    module = nn.TransformerDecoder(partial(nn.TransformerDecoderBlock, 4, 2, 3, pre_norm=True), 1)
    x, memory = normal(rng, "float32", 2, 4, 4), normal(rng, "float32", 2, 4, 4)
    spoilt = [np.where(PADDING[..., None], np.nan, each) for each in (x, memory)]
    params = jax.jit(module.init)(jax.random.key(0), x, memory)
    lengths = jnp.asarray(LENGTHS)

    def total(params: Any, x: Any, memory: Any) -> Any:
        out = module.apply(params, x, memory, lengths=lengths, memory_lengths=lengths)
        return jnp.sum(jnp.where(PADDING[..., None], 0, out) ** 2)

    both = jax.jit(jax.value_and_grad(total))
    assert_trees_close(both(params, *spoilt), both(params, x, memory), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("with_memory", [True, False])
def test_decoding_step_by_step_equals_the_whole(with_memory: bool, rng: np.random.Generator) -> None:
    module = nn.TransformerDecoder(partial(nn.TransformerDecoderBlock, 4, 2, 3), 2, norm=nn.LayerNorm)
    x = normal(rng, "float32", 2, 3, 4)
    memory = normal(rng, "float32", 2, 4, 4) if with_memory else None
    lengths = jnp.asarray(LENGTHS) if with_memory else None
    params = jax.jit(module.init)(jax.random.key(0), x, memory)
    assert ("cross" in params["params"]["block0"]) == with_memory
    kept = module.apply(params, 2, memory, steps=3, memory_lengths=lengths, method="begin")
    step = jax.jit(
        lambda x, kept, t: module.apply(params, x, kept, position=t, memory_lengths=lengths, method="decode")
    )
    outs = []
    for t in range(3):
        out, kept = step(x[:, t : t + 1], kept, t)
        outs.append(out)
    whole = jax.jit(lambda x: module.apply(params, x, memory, memory_lengths=lengths))(x)
    np.testing.assert_allclose(np.concatenate(outs, axis=1), whole, rtol=1e-4, atol=1e-5)


def test_dropout_needs_training_and_a_stack_needs_a_block(rng: np.random.Generator) -> None:
    module, x = nn.TransformerEncoderBlock(4, 2, 8, rate=0.5), normal(rng, "float32", 1, 3, 4)
    params = jax.jit(module.init)(jax.random.key(0), x)
    dropped = jax.jit(lambda key: module.apply(params, x, train=True, rngs={"dropout": key}))
    assert np.any(dropped(jax.random.key(0)) != dropped(jax.random.key(1)))
    half = jax.eval_shape(module.apply, params, jnp.asarray(x, jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        nn.TransformerEncoder(partial(nn.TransformerEncoderBlock, 4, 2, 8), 0).init(jax.random.key(0), x)
