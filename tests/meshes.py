"""Programs on meshes that need no devices, and gradients inside `jax.shard_map`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, AxisType, PartitionSpec

from fjdl.meshes import varying, varying_axes

EVERYWHERE, SPLIT = PartitionSpec(), PartitionSpec("data")


def everywhere(x: Any) -> Any:
    """The sum over all devices."""
    return jax.lax.psum(x, tuple(varying_axes(x))) if varying_axes(x) else x


def value_and_gradients(function: Callable[..., Any], *arguments: Any) -> tuple[Any, tuple[Any, ...]]:
    """What the function returns, and the gradients of the sum of all its leaves over all devices.

    Each gradient has the type of its argument: it varies over the same axes.
    """

    def total(*smooth: Any) -> Any:
        result = function(*smooth)
        floats = [leaf for leaf in jax.tree.leaves(result) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        return sum((everywhere(jnp.sum(leaf.astype(jnp.float32))) for leaf in floats), jnp.float32(0)), result

    if not arguments:
        return function(), ()
    slopes, result = jax.grad(total, argnums=tuple(range(len(arguments))), has_aux=True)(*arguments)
    assert jax.tree.map(varying_axes, slopes) == jax.tree.map(varying_axes, arguments)
    return result, slopes


def on_axes_of_their_own(function: Callable[..., Any], *arguments: Any) -> Any:
    """The jaxpr of `function` inside `shard_map`, each argument varying over an axis of its own; it returns nothing.

    What must agree and does so there agrees for every choice of replicated and sharded arguments.
    """
    names = tuple(f"axis{number}" for number in range(len(arguments)))
    mesh = AbstractMesh((2,) * len(names), names, (AxisType.Auto,) * len(names))

    def program(*arguments: Any) -> tuple[()]:
        function(*(varying(tree, frozenset({name})) for tree, name in zip(arguments, names, strict=True)))
        return ()

    mapped = jax.shard_map(program, mesh=mesh, in_specs=EVERYWHERE, out_specs=EVERYWHERE)
    return jax.make_jaxpr(mapped)(*arguments)
