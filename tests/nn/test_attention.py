"""Layers of attention beside PyTorch's with the same weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

from fjdl import nn, optim, tree
from fjdl.functional import additive_attention, dot_attention, general_attention, rotary_halves
from fjdl.nn import trace
from fjdl.transfer import TRANSFORMER, from_torch, split_projections
from tests.support import assert_trees_close, float64

BOUND = {"float32": 1e-5, "float64": 1e-10}
LENGTHS = np.array([4, 2])


def weights_of(theirs: torch.nn.Module, module: linen.Module, *inputs: Any) -> Any:
    """The module's parameters with the values of PyTorch's, in its dtype."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
    tensors = {name: tensor.detach().numpy() for name, tensor in theirs.state_dict().items()}
    shapes = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, next(iter(tensors.values())).dtype), shapes)
    return from_torch(split_projections(tensors), shapes, {}, TRANSFORMER)[0]


def equal(
    theirs: torch.nn.Module, module: linen.Module, inputs: list[np.ndarray], *, ours: Any, options: Any, counted: Any
) -> None:
    """Outputs at `counted` places, and the gradients of their squares by inputs and all weights."""
    params = weights_of(theirs, module, *inputs)

    def total(params: Any, *inputs: Any) -> Any:
        out = module.apply({"params": params}, *inputs, **ours)
        return jnp.sum(jnp.where(counted, out, 0) ** 2), out

    (slopes, *by_inputs), out = jax.jit(
        lambda params, inputs: jax.grad(total, range(1 + len(inputs)), has_aux=True)(params, *inputs)
    )(params, inputs)
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    expected = options(*tensors)
    (torch.where(torch.tensor(counted), expected, 0) ** 2).sum().backward()
    bound = BOUND[str(inputs[0].dtype)]
    found, wanted = [np.where(counted, out, 0), *by_inputs], [np.where(counted, expected.detach(), 0)]
    wanted += [tensor.grad.numpy() for tensor in tensors]
    for name, parameter in theirs.named_parameters():
        parameter.data = parameter.grad
        assert name
    found += jax.tree.leaves(slopes)
    wanted += jax.tree.leaves(weights_of(theirs, module, *inputs))
    largest = max(np.abs(each).max() for each in wanted)  # those of keys' biases are 0 but for rounding
    for mine, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, other, rtol=bound, atol=bound * largest)


def normal(rng: np.random.Generator, dtype: str, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def drawn(module: torch.nn.Module, dtype: str) -> torch.nn.Module:
    """With weights of which none is 0."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module.to(getattr(torch, dtype)).eval()


@pytest.mark.parametrize("dtype", BOUND)
def test_self_attention_equals_torch_with_causal_mask_and_padding(dtype: str, rng: np.random.Generator) -> None:
    theirs = drawn(torch.nn.MultiheadAttention(6, 2, batch_first=True), dtype)
    padding = torch.tensor(np.arange(4) >= LENGTHS[:, None])
    future = torch.triu(torch.ones(4, 4, dtype=torch.bool), 1)
    with float64() if dtype == "float64" else jax.enable_x64(False):
        equal(
            theirs,
            nn.MultiHeadAttention(6, 2),
            [normal(rng, dtype, 2, 4, 6)],
            ours={"lengths": LENGTHS.astype(np.int32), "causal": True},
            options=lambda x: theirs(x, x, x, key_padding_mask=padding, attn_mask=future)[0],
            counted=~padding.numpy()[..., None],
        )


def test_cross_attention_equals_torch_with_any_mask_and_another_width(rng: np.random.Generator) -> None:
    theirs = drawn(torch.nn.MultiheadAttention(6, 2, kdim=3, vdim=3, batch_first=True), "float32")
    mask = rng.uniform(size=(4, 5)) < 0.5
    mask[:, 0] = True
    equal(
        theirs,
        nn.MultiHeadAttention(6, 2),
        [normal(rng, "float32", 2, 4, 6), normal(rng, "float32", 2, 5, 3)],
        ours={"mask": mask[None, None]},
        options=lambda x, memory: theirs(x, memory, memory, attn_mask=torch.tensor(~mask))[0],
        counted=np.ones((2, 4, 1), bool),
    )


@pytest.mark.parametrize(
    "module",
    [nn.MultiHeadAttention(4, 2), nn.AdditiveAttention(3), nn.LuongAttention(4)],
    ids=lambda m: type(m).__name__,
)
def test_padding_reaches_neither_results_nor_gradients(module: linen.Module, rng: np.random.Generator) -> None:
    x = normal(rng, "float32", 2, 4, 4)
    spoilt = np.where(np.arange(4)[:, None] < LENGTHS[:, None, None], x, np.nan)
    queries = normal(rng, "float32", 2, 3, 4)
    params = jax.jit(module.init)(jax.random.key(0), x)

    def total(params: Any, x: Any) -> Any:
        return jnp.sum(module.apply(params, queries, x, lengths=jnp.asarray(LENGTHS)) ** 2)

    both = jax.jit(jax.value_and_grad(total))
    assert_trees_close(both(params, spoilt), both(params, x), rtol=1e-6, atol=1e-6)


def test_steps_through_a_cache_equal_the_whole_with_grouped_heads_and_rotations(rng: np.random.Generator) -> None:
    module = nn.MultiHeadAttention(8, 4, key_heads=2, rotate=rotary_halves)
    x = jnp.asarray(normal(rng, "float32", 2, 3, 8))
    params = jax.jit(module.init)(jax.random.key(1), x)
    assert params["params"]["key"]["kernel"].shape == (8, 4)
    step = jax.jit(lambda x, cache, t: module.apply(params, x, cache, position=t, method="decode"))
    cache = module.apply(params, 2, steps=3, method="empty")
    outs = []
    for t in range(3):
        out, cache = step(x[:, t : t + 1], cache, t)
        outs.append(out)
    whole = jax.jit(lambda x: module.apply(params, x, causal=True))(x)
    np.testing.assert_allclose(np.concatenate(outs, axis=1), whole, rtol=1e-5, atol=1e-5)


def test_learned_scores_are_those_of_the_functions_and_decay_reaches_every_kernel(rng: np.random.Generator) -> None:
    x, memory = normal(rng, "float32", 2, 3, 4), normal(rng, "float32", 2, 5, 6)
    additive, luong = nn.AdditiveAttention(7), nn.LuongAttention(4)
    params = jax.jit(additive.init)(jax.random.key(0), x, memory)
    kernels = [params["params"][name]["kernel"] for name in ("query", "key", "score")]
    assert [kernel.shape for kernel in kernels] == [(4, 7), (6, 7), (7,)]
    expected = additive_attention(x, memory, memory, *kernels)
    np.testing.assert_allclose(additive.apply(params, x, memory), expected, rtol=1e-6)
    decayed = optim.add_decayed_weights(0.1, rules=optim.KERNELS)
    zeros = jax.tree.map(jnp.zeros_like, params)
    changes, _ = decayed.update(zeros, decayed.init(params), params)
    assert all(np.any(change) for change in jax.tree.leaves(changes))
    weights = additive.apply(params, x, additive.apply(params, memory, method="remember"), method="weights")
    np.testing.assert_allclose(weights @ memory, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        nn.DotAttention().apply({}, x, memory[..., :4]), dot_attention(x, memory[..., :4], memory[..., :4]), rtol=1e-6
    )
    params = luong.init(jax.random.key(0), x, memory)
    expected = general_attention(x, memory, memory, params["params"]["score"]["kernel"])
    np.testing.assert_allclose(luong.apply(params, x, memory), expected, rtol=1e-6)


def test_costs_count_parameters_and_products() -> None:
    x = jax.ShapeDtypeStruct((1, 5, 4), jnp.float32)
    for module, parameters in (
        (nn.MultiHeadAttention(4, 2), 4 * 20),
        (nn.AdditiveAttention(3), 27),
        (nn.DotAttention(), 0),
        (nn.LuongAttention(4), 16),
        (nn.LearnedPositions(6), 24),
    ):
        layers = trace.layers(Only(module), x)
        shapes = jax.eval_shape(Only(module).init, jax.random.key(0), x)
        assert sum(layer.parameters for layer in layers) == tree.count(shapes.get("params", {})) == parameters


class Only(linen.Module):
    part: linen.Module

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        return self.part(x)


def test_heads_that_do_not_divide_the_features_are_refused() -> None:
    with pytest.raises(ValueError, match="heads must divide the features, got 3 and 4"):
        nn.MultiHeadAttention(4, 3).init(jax.random.key(0), jnp.ones((1, 2, 4)))


def test_dropped_weights_need_training_and_a_key() -> None:
    module, x = nn.MultiHeadAttention(4, 2, rate=0.5), jnp.ones((1, 6, 4)).at[:, ::2].set(2.0)
    params = module.init(jax.random.key(0), x)
    first, second = (module.apply(params, x, train=True, rngs={"dropout": jax.random.key(n)}) for n in (0, 1))
    assert np.any(first != second)
    np.testing.assert_array_equal(module.apply(params, x), module.apply(params, x))
