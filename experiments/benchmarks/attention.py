"""Attention over long sequences: fjdl jitted against PyTorch's fused form."""

import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from experiments.benchmarks.comparison import Comparison
from experiments.benchmarks.pointwise import check
from fjdl.functional import dot_product_attention

HEADS, FEATURES = 8, 64


def comparisons(only: str, *, length: int = 4096) -> Iterator[Comparison]:
    """Forward, and forward with backward, each for all keys and for a causal mask, where the name contains `only`."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for causal in (False, True):
        for backward in (False, True):
            name = f"attention {length}{', causal' * causal}, forward{' and backward' * backward}"
            if only in name:
                yield comparison(name, length, causal=causal, backward=backward)


def comparison(name: str, length: int, *, causal: bool, backward: bool) -> Comparison:
    """One example with 8 heads of 64 features."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((1, length, HEADS, FEATURES), dtype=np.float32) for _ in range(4)]
    placed, tensors = [jnp.asarray(x) for x in arrays], [torch.tensor(x) for x in arrays]
    step = both(causal) if backward else jax.jit(lambda q, k, v, _: (attended(causal, q, k, v),))
    theirs = torch_both(tensors, causal) if backward else torch_forward(tensors, causal)
    check(step(*placed), theirs())
    return Comparison(name, {"fjdl": lambda: jax.block_until_ready(step(*placed)), "PyTorch": theirs})


def attended(causal: bool, q: Any, k: Any, v: Any) -> Any:
    """Ours."""
    return dot_product_attention(q, k, v, causal=causal)


def both(causal: bool) -> Any:
    """The value, and an upstream gradient pulled back."""

    @jax.jit
    def step(q: Any, k: Any, v: Any, upstream: Any) -> tuple[Any, ...]:
        value, pull = jax.vjp(lambda *operands: attended(causal, *operands), q, k, v)
        return value, *pull(upstream)

    return step


def torch_forward(tensors: list[torch.Tensor], causal: bool) -> Any:
    """PyTorch's heads are its second axis."""

    def run() -> tuple[Any, ...]:
        with torch.no_grad():
            return (fused(tensors[:3], causal),)

    return run


def torch_both(tensors: list[torch.Tensor], causal: bool) -> Any:
    """The value and the gradients."""
    leaves = [tensor.clone().requires_grad_(True) for tensor in tensors[:3]]

    def run() -> tuple[Any, ...]:
        for leaf in leaves:
            leaf.grad = None
        value = fused(leaves, causal)
        value.backward(tensors[3])
        return value.detach(), *(leaf.grad for leaf in leaves)

    return run


def fused(operands: list[torch.Tensor], causal: bool) -> torch.Tensor:
    """PyTorch's."""
    q, k, v = (x.transpose(1, 2) for x in operands)
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)
