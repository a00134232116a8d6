"""The state of every transformation lies on a mesh as the parameters lie, from `init` on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.optim.table import Part, by_part

every_part = by_part(mixing=True)

AUTO, EXPLICIT = (
    jax.make_mesh((2,), ("model",), axis_types=(kind,))
    for kind in (jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit)
)
SPECS = {
    "kernel": jax.P(None, "model"),
    "rows": jax.P("model", None),
    "whole": jax.P(None, None),
    "bias": jax.P("model"),
}


def parameters(part: Part) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {"kernel": (4, 6), "rows": (6, 4), "whole": (3, 4), "bias": (4,)}
    return {
        name: jnp.asarray(rng.standard_normal(shape), jnp.float32)
        for name, shape in shapes.items()
        if part.vectors or len(shape) > 1
    }


def laid_out(tree: Any, mesh: jax.sharding.Mesh) -> Any:
    return {name: jax.device_put(leaf, jax.NamedSharding(mesh, SPECS[name])) for name, leaf in tree.items()}


def three_steps(part: Part, params: Any) -> Any:
    """Parameters and state after three updates in a scan, whose carry JAX wants of one type."""
    optimizer = part.build()

    def step(carry: Any, _: None) -> tuple[Any, None]:
        params, state = carry
        updates, state = optimizer.update(jax.tree.map(jnp.negative, params), state, params, **part.extra(params))
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, optimizer.init(params)), length=3)[0]


@every_part
def test_state_made_eagerly_or_under_jit_lies_on_an_automatic_mesh_as_the_parameters_do(part: Part) -> None:
    params = laid_out(parameters(part), AUTO)
    with jax.set_mesh(AUTO):
        states = [part.build().init(params), jax.jit(part.build().init)(params)]
    for state in states:
        for path, leaf in jax.tree_util.tree_leaves_with_path(state):
            expected = [
                p
                for key, p in params.items()
                if str(key) in jax.tree_util.keystr(path) and leaf.shape[-p.ndim :] == p.shape
            ]
            for p in expected:
                spec = jax.P(*[None] * (leaf.ndim - p.ndim), *p.sharding.spec)
                assert leaf.sharding.is_equivalent_to(jax.NamedSharding(AUTO, spec), leaf.ndim), jax.tree_util.keystr(
                    path
                )


@every_part
def test_a_scan_over_parameters_and_state_keeps_its_types_on_an_explicit_mesh(part: Part) -> None:
    params = laid_out(parameters(part), EXPLICIT)
    with jax.set_mesh(EXPLICIT):
        after, _ = jax.eval_shape(lambda p: three_steps(part, p), params)
    assert jax.tree.map(lambda p: p.sharding.spec, after) == {name: SPECS[name] for name in after}


@every_part
def test_a_scan_over_parameters_and_state_keeps_its_types_inside_shard_map(part: Part) -> None:
    params = {name: leaf for name, leaf in parameters(part).items() if not (part.mixes and name == "whole")}
    specs = {name: SPECS[name] for name in params}

    def local(params: Any) -> Any:
        return three_steps(part, params)[0]

    inside = jax.shard_map(local, mesh=AUTO, in_specs=(specs,), out_specs=specs)
    assert jax.eval_shape(inside, params) == jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype), params)
