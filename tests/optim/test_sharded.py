"""Optimizers inside `jax.shard_map`, which checks over which axes of the mesh each value varies."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from fjdl import optim
from tests.meshes import on_axes_of_their_own
from tests.optim.table import ROWS

WITH_LOOPS = {
    "lbfgs": optim.lbfgs(memory=2),
    "strong_wolfe": optim.scale_by_strong_wolfe(),
    "backtracking": optim.scale_by_backtracking(),
    "accumulate": optim.accumulate_gradients(optim.adam(0.1), every=2),
    **{name: row.ours(0.1) for name, row in ROWS.items()},
}


@pytest.mark.parametrize("optimizer", WITH_LOOPS.values(), ids=WITH_LOOPS.keys())
def test_parameters_and_gradients_may_be_sharded_or_replicated(optimizer: Any) -> None:
    """The second step too, whose state varies over every axis."""

    optimizer = optax.with_extra_args_support(optimizer)

    def program(params: Any, updates: Any, target: Any) -> None:
        def value_fn(params: Any) -> Any:
            return sum(jnp.sum(jnp.square(p - target)) for p in jax.tree.leaves(params))

        state = optimizer.init(params)
        for _ in range(2):
            _, state = optimizer.update(updates, state, params, value_fn=value_fn)

    params = {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}
    on_axes_of_their_own(program, params, jax.tree.map(jnp.copy, params), jnp.ones(()))
