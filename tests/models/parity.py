"""A network and its twin in PyTorch: the same weights under the twin's names give the same outputs."""

from typing import Any

import jax
import numpy as np
import torch

from fjdl import tree
from fjdl.nn import Model
from fjdl.transfer.layout import Layout, from_torch, to_torch


def random_variables(model: Model, x: Any, *, seed: int = 0) -> tuple[Any, Any]:
    """Parameters and statistics of which none is trivial, drawn without compiling an initializer."""
    rng = np.random.default_rng(seed)

    def draw(name: str, leaf: Any) -> np.ndarray:
        if name.endswith(("scale", "var")):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        spread = 0.2 if len(leaf.shape) == 1 else np.sqrt(2 / np.prod(leaf.shape[:-1]))
        return (spread * rng.standard_normal(leaf.shape)).astype(np.float32)

    return tree.map_named(draw, jax.eval_shape(model.init, jax.random.key(0), x))


def assert_equals_twin(model: Model, twin: torch.nn.Module, x: np.ndarray, layout: Layout) -> None:
    """Fails unless the twin takes all weights, gives the same outputs in evaluation, and gives the weights back."""
    params, stats = random_variables(model, x)
    tensors = to_torch(params, stats, layout)
    missing, unexpected = twin.load_state_dict({k: torch.tensor(v) for k, v in tensors.items()}, strict=False)
    assert not unexpected
    assert all(key.endswith("num_batches_tracked") for key in missing), missing
    with torch.no_grad():
        expected = twin.eval()(torch.tensor(np.moveaxis(x, -1, 1))).numpy()
    expected = np.moveaxis(expected, 1, -1)
    actual, _ = jax.jit(model.apply)(params, stats, x)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))
    state = {name: value.numpy() for name, value in twin.state_dict().items()}
    assert tree.digest(from_torch(state, params, stats, layout)) == tree.digest((params, stats))
