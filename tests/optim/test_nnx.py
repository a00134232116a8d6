"""Transformations under `flax.nnx.Optimizer`, whose parameters are boxes in a container of its own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim, tree
from fjdl.quant import Quantized, absmax_quantize, quantize_tree
from tests.optim.table import Part, by_part
from tests.support import assert_trees_close

try:
    from flax import nnx
except Exception as error:  # on some pairs of versions its import fails, in ways of their own
    pytest.skip(f"flax.nnx cannot be imported beside JAX {jax.__version__}: {error}", allow_module_level=True)

DRAWN = {"encoder": {"kernel": (4, 3), "bias": (3,)}, "head": {"kernel": (4, 3), "bias": (3,)}}


def parameters(part: Part) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(0)
    drawn = {
        layer: {name: jnp.asarray(rng.standard_normal(shape), jnp.float32) for name, shape in shapes.items()}
        for layer, shapes in DRAWN.items()
    }
    return drawn if part.vectors else {layer: {"kernel": leaves["kernel"]} for layer, leaves in drawn.items()}


class Layer(nnx.Module):
    def __init__(self, leaves: dict[str, Any]) -> None:
        for name, leaf in leaves.items():
            setattr(self, name, nnx.Param(leaf))


class Network(nnx.Module):
    def __init__(self, params: dict[str, dict[str, Any]]) -> None:
        self.encoder, self.head = Layer(params["encoder"]), Layer(params["head"])


def trained_by_nnx(part: Part) -> Any:
    network = Network(parameters(part))
    optimizer = nnx.Optimizer(network, part.build(), wrt=nnx.Param)
    for factor in (1.0, -0.5):
        params = nnx.state(network, nnx.Param)
        optimizer.update(network, jax.tree.map(lambda p: factor * p, params), **part.extra(params))  # noqa: B023
    return nnx.to_pure_dict(nnx.state(network, nnx.Param))


def trained(part: Part) -> Any:
    params, optimizer = parameters(part), part.build()
    state = optimizer.init(params)
    for factor in (1.0, -0.5):
        grads = jax.tree.map(lambda p: factor * p, params)  # noqa: B023
        updates, state = optimizer.update(grads, state, params, **part.extra(params))
        params = optax.apply_updates(params, updates)
    return params


@by_part()
def test_two_steps_are_those_of_plain_dictionaries(part: Part) -> None:
    if part.random:
        pytest.skip("draws noise by the order of the leaves")
    assert_trees_close(trained_by_nnx(part), trained(part), rtol=1e-6, atol=1e-6)


def test_groups_and_rules_by_path_work_under_jit() -> None:
    rules = [("head/.*", optim.adamw(0.1, weight_decay=0.5, decay_rules=optim.KERNELS)), (".*", optim.FROZEN)]
    network = Network(parameters(Part(optim.sgd)))
    before = nnx.to_pure_dict(nnx.state(network))
    optimizer = nnx.Optimizer(network, optim.partition(rules), wrt=nnx.Param)

    @nnx.jit
    def step(network: Any, optimizer: Any) -> None:
        optimizer.update(network, jax.tree.map(jnp.zeros_like, nnx.state(network, nnx.Param)))

    step(network, optimizer)
    step(network, optimizer)
    after = nnx.to_pure_dict(nnx.state(network))
    np.testing.assert_array_equal(after["encoder"]["kernel"], before["encoder"]["kernel"])
    np.testing.assert_array_equal(after["head"]["bias"], before["head"]["bias"])
    np.testing.assert_allclose(after["head"]["kernel"], 0.95**2 * before["head"]["kernel"], rtol=1e-6)


def test_kernels_are_quantized() -> None:
    state = nnx.state(Network(parameters(Part(optim.sgd))))
    assert tree.names(state) == ["encoder/bias", "encoder/kernel", "head/bias", "head/kernel"]
    quantized = quantize_tree(state, quantize=absmax_quantize)
    leaves = jax.tree.leaves(quantized, is_leaf=lambda node: isinstance(node, Quantized))
    assert [isinstance(leaf, Quantized) for leaf in leaves] == [False, True, False, True]
