"""A network and its twins in PyTorch: names, shapes and MACs at full size without computing them; two twins at once."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import linen
from torch.utils.flop_counter import FlopCounterMode

from fjdl import tree
from fjdl.analysis import Layer
from fjdl.nn import Model, pure
from fjdl.nn.noise import StochasticDepth
from fjdl.transfer.layout import Layout, from_torch, to_torch
from tests.models.parity import random_variables


def images(size: int = 224) -> jax.ShapeDtypeStruct:
    """An abstract batch of one image."""
    return jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)


@cache
def abstract(module: linen.Module) -> tuple[tuple[Layer, ...], Any, list[float]]:
    """The rows of its layers, its parameters and statistics without values, and its rates of stochastic depth."""
    rates: list[float] = []
    model = pure(module)

    def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, StochasticDepth):
            rates.append(context.module.rate)
        return call(*args, **kwargs)

    with linen.intercept_methods(watch):
        variables = jax.eval_shape(model.init, jax.random.key(0), images())
    return tuple(model.layers(images())), variables, rates


def exported_shapes(module: linen.Module, layout: Layout) -> dict[str, tuple[int, ...]]:
    """The state dict that the network's parameters and statistics make."""
    empty = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), abstract(module)[1])
    return {name: tensor.shape for name, tensor in to_torch(*empty, layout).items()}


def twin_shapes(twin: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """The twin's state dict without the counters of batches."""
    state = twin.state_dict().items()
    return {name: tuple(value.shape) for name, value in state if not name.endswith("num_batches_tracked")}


def twin_macs(twin: torch.nn.Module, *, size: int = 224) -> int:
    """The MACs that PyTorch counts for one image; the twin is on the device "meta"."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return counter.get_total_flops() // 2


def loaded(twin: torch.nn.Module, tensors: dict[str, np.ndarray]) -> torch.nn.Module:
    """The twin in evaluation with these weights, of which it wants all but the counters of batches."""
    missing, unexpected = twin.load_state_dict({k: torch.tensor(t) for k, t in tensors.items()}, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return twin.eval()


def assert_twins_agree(
    model: Model, x: np.ndarray, one: torch.nn.Module, layout: Layout, other: torch.nn.Module, others: Layout
) -> None:
    """Fails unless two twins give the same with the same weights under the names of both, and give them back."""
    variables = random_variables(model, x)
    inputs = torch.tensor(x).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = loaded(one, to_torch(*variables, layout))(inputs)
        torch.testing.assert_close(loaded(other, to_torch(*variables, others))(inputs), expected)
    state = {name: value.numpy() for name, value in other.state_dict().items()}
    assert tree.digest(from_torch(state, *variables, others)) == tree.digest(variables)


def assert_near_in_bfloat16(model: Model, x: np.ndarray, twin: torch.nn.Module, layout: Layout, *, part: float) -> None:
    """Fails unless bfloat16 gives bfloat16, off the twin's float32 by at most a part of the largest output."""
    variables = random_variables(model, x)
    with torch.no_grad():
        full = loaded(twin, to_torch(*variables, layout))(torch.tensor(x).permute(0, 3, 1, 2)).numpy()
    half, _ = jax.jit(model.apply)(*variables, jnp.asarray(x, jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), full, atol=part * np.abs(full).max())


def on_meta(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """A network that has shapes only."""
    with torch.device("meta"):
        return make()
