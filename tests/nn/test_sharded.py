"""Layers and networks inside `jax.shard_map`, which checks over which axes of the mesh each value varies."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

from fjdl import nn
from fjdl.losses import softmax_cross_entropy
from fjdl.models import LeNet5
from tests.meshes import EVERYWHERE, SPLIT, everywhere, on_axes_of_their_own, value_and_gradients
from tests.models.families import families
from tests.nn.table import LAYERS, layers
from tests.support import assert_trees_close, own_names

KEY = jax.random.key(0)


def test_every_layer_has_a_row() -> None:
    public = {name: getattr(nn, name) for name in own_names(nn)}
    assert {name for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, linen.Module)} == {
        *LAYERS
    }


def layer(module: linen.Module, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Its function of parameters, statistics, inputs and a key, in training, and these arguments, two examples."""
    trains = "train" in inspect.signature(type(module).__call__).parameters
    inputs = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    stats = jax.eval_shape(lambda x: module.init(KEY, x, **{"train": False} if trains else {}), inputs)
    params = stats.pop("params", {})

    def program(params: Any, stats: Any, inputs: Any, key: Any) -> Any:
        def outputs(params: Any, inputs: Any) -> Any:
            options = {"train": True} if trains else {}
            return module.apply({"params": params, **stats}, inputs, rngs={"dropout": key}, mutable=[*stats], **options)

        return value_and_gradients(outputs, params, inputs)

    return program, params, stats, inputs, KEY


NETWORKS = [pytest.param(row.values, id=row.id, marks=row.marks) for row in (*layers(), *families())]


@pytest.fixture(scope="module", params=NETWORKS)
def traced(request: pytest.FixtureRequest) -> tuple[Any, ...]:
    """What `layer` gives of each network, whose initializer is traced once."""
    return layer(*request.param)


def test_parameters_inputs_and_keys_may_be_sharded_or_replicated(traced: tuple[Any, ...]) -> None:
    on_axes_of_their_own(*traced)


def test_inputs_may_be_sharded_over_explicit_axes(traced: tuple[Any, ...]) -> None:
    program, params, stats, inputs, key = traced
    mesh = AbstractMesh((2,), ("data",), (AxisType.Explicit,))
    split = NamedSharding(mesh, PartitionSpec("data", *[None] * (len(inputs.shape) - 1)))
    with jax.sharding.use_abstract_mesh(mesh):
        _, (slopes, slope) = jax.eval_shape(
            program, params, stats, jax.ShapeDtypeStruct(inputs.shape, inputs.dtype, sharding=split), key
        )
    assert slope.sharding == split
    assert not any(leaf.sharding and any(leaf.sharding.spec) for leaf in jax.tree.leaves(slopes))


@pytest.mark.by_day_on_pin(1)
def test_the_gradient_of_lenet_on_two_devices_is_that_of_the_whole_batch(rng: np.random.Generator) -> None:
    images = jnp.asarray(rng.standard_normal((4, 8, 8, 1)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 10, 4))
    model = nn.functional(LeNet5(padding=(2, 2)))
    params, stats = jax.jit(model.init)(KEY, images)

    def loss(params: Any, images: Any, labels: Any) -> Any:
        return jnp.sum(softmax_cross_entropy(model.apply(params, stats, images)[0], labels))

    def gradient(params: Any, images: Any, labels: Any) -> Any:
        return jax.grad(lambda p: everywhere(loss(p, images, labels)))(params)

    expected = jax.jit(gradient)(params, images, labels)
    auto, explicit = (
        jax.make_mesh((2,), ("data",), axis_types=(kind,), devices=jax.devices()[:2])
        for kind in (AxisType.Auto, AxisType.Explicit)
    )
    mapped = jax.shard_map(gradient, mesh=auto, in_specs=(EVERYWHERE, SPLIT, SPLIT), out_specs=EVERYWHERE)
    assert_trees_close(jax.jit(mapped)(params, images, labels), expected, rtol=1e-4, atol=1e-5)
    with jax.set_mesh(explicit):
        split = jax.device_put((images, labels), NamedSharding(explicit, SPLIT))
        actual = jax.jit(gradient)(jax.device_put(params, NamedSharding(explicit, EVERYWHERE)), *split)
    assert_trees_close(actual, expected, rtol=1e-4, atol=1e-5)
