"""Layers and networks inside `jax.shard_map`, which checks over which axes of the mesh each value varies."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax.sharding import AxisType

from fjdl import nn
from fjdl.losses import softmax_cross_entropy
from fjdl.models import LeNet5
from tests.meshes import EVERYWHERE, SPLIT, on_axes_of_their_own, value_and_gradients
from tests.models.families import families
from tests.nn.table import LAYERS, layers
from tests.support import assert_trees_close

KEY = jax.random.key(0)


def test_every_layer_has_a_row() -> None:
    public = {name: getattr(nn, name) for name in nn.__all__}
    assert {name for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, linen.Module)} == {
        *LAYERS
    }


@pytest.mark.parametrize(("module", "shape"), [*layers(), *families()])
def test_parameters_inputs_and_keys_may_be_sharded_or_replicated(module: linen.Module, shape: tuple[int, ...]) -> None:
    trains = "train" in inspect.signature(type(module).__call__).parameters
    inputs = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    stats = jax.eval_shape(lambda x: module.init(KEY, x, **{"train": False} if trains else {}), inputs)
    params = stats.pop("params", {})

    def program(params: Any, stats: Any, inputs: Any, key: Any) -> None:
        def outputs(params: Any, inputs: Any) -> Any:
            options = {"train": True} if trains else {}
            return module.apply({"params": params, **stats}, inputs, rngs={"dropout": key}, mutable=[*stats], **options)

        value_and_gradients(outputs, params, inputs)

    on_axes_of_their_own(program, params, stats, inputs, KEY)


def test_the_gradient_of_lenet_on_two_devices_is_that_of_the_whole_batch(rng: np.random.Generator) -> None:
    images = jnp.asarray(rng.standard_normal((4, 8, 8, 1)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 10, 4))
    model = nn.functional(LeNet5(padding=(2, 2)))
    params, stats = jax.jit(model.init)(KEY, images)

    def loss(params: Any, images: Any, labels: Any) -> Any:
        return jnp.sum(softmax_cross_entropy(model.apply(params, stats, images)[0], labels))

    def gradient(params: Any, images: Any, labels: Any) -> Any:
        return jax.grad(lambda p: jax.lax.psum(loss(p, images, labels), "data"))(params)

    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    mapped = jax.shard_map(gradient, mesh=mesh, in_specs=(EVERYWHERE, SPLIT, SPLIT), out_specs=EVERYWHERE)
    expected = jax.jit(jax.grad(loss))(params, images, labels)
    assert_trees_close(jax.jit(mapped)(params, images, labels), expected, rtol=1e-4, atol=1e-5)
