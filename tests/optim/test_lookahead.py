from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

from fjdl import optim
from fjdl.optim.lookahead import lookahead
from tests.support import assert_trees_close

START = {"w": jnp.asarray([1.0, -3.0]), "b": jnp.asarray(0.5)}


def gradient(params: Any) -> Any:
    return jax.tree.map(lambda p: 2 * p + jnp.sin(p), params)


def run(optimizer: Any, params: Any, steps: int) -> tuple[Any, Any]:
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for _ in range(steps):
        updates, state = update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


@pytest.mark.parametrize("steps", [4, 6, 9])
def test_one_tree_of_parameters_goes_where_the_pair_of_optax_goes(steps: int) -> None:
    ours, state = run(lookahead(optim.adam(0.1), every=3, rate=0.4), START, steps)
    theirs = optax.lookahead(optax.adam(0.1), sync_period=3, slow_step_size=0.4)
    pair = optax.LookaheadParams.init_synced(START)
    their_state = theirs.init(pair)
    for _ in range(steps):
        updates, their_state = theirs.update(gradient(pair.fast), their_state, pair)
        pair = optax.apply_updates(pair, updates)
    assert_trees_close(ours, pair.fast, rtol=1e-5)
    assert_trees_close(state.slow, pair.slow, rtol=1e-5)


def test_after_a_synchronization_the_parameters_are_the_slow_weights() -> None:
    params, state = run(lookahead(optim.sgd(0.1), every=2), START, 4)
    assert_trees_close(params, state.slow, rtol=1.2e-7, atol=0)


def test_with_rate_one_it_is_the_fast_optimizer() -> None:
    expected, _ = run(optim.adam(0.1), START, 5)
    assert_trees_close(run(lookahead(optim.adam(0.1), every=2, rate=1.0), START, 5)[0], expected)


def test_slow_weights_of_bfloat16_parameters_are_float32_and_of_their_own_memory() -> None:
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), START)
    optimizer = lookahead(optim.sgd(0.1), every=1)
    assert {leaf.dtype for leaf in jax.tree.leaves(optimizer.init(params).slow)} == {jnp.dtype(jnp.float32)}
    params = jax.tree.map(jnp.copy, START)
    step = jax.jit(lambda p, s: (p, optimizer.update(gradient(p), s, p)), donate_argnums=(0, 1))
    step(params, optimizer.init(params))


def test_impossible_options_and_missing_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        lookahead(optim.sgd(0.1), every=0)
    with pytest.raises(ValueError, match=r"rate must lie in \(0, 1\], got 0.0"):
        lookahead(optim.sgd(0.1), rate=0.0)
    optimizer = lookahead(optim.sgd(0.1))
    with pytest.raises(ValueError, match="params must be given to lookahead"):
        optimizer.update(START, optimizer.init(START))
