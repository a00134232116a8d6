from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim, tree
from fjdl.optim.accumulate import accumulate_gradients
from tests.support import assert_trees_close, float64

PARAMS = {"w": np.float32([1.0, -2.0]), "b": np.float32(0.5)}


def micro_gradients(rng: np.random.Generator, count: int) -> list[dict[str, np.ndarray]]:
    return [jax.tree.map(lambda p: rng.standard_normal(p.shape).astype(p.dtype), PARAMS) for _ in range(count)]


def run(optimizer: Any, grads: list[Any], **extra: Any) -> tuple[list[Any], Any]:
    state, params, path = optimizer.init(PARAMS), PARAMS, []
    update = jax.jit(optimizer.update)
    for step, grad in enumerate(grads):
        updates, state = update(grad, state, params, **{name: values[step] for name, values in extra.items()})
        params = optax.apply_updates(params, updates)
        path.append(params)
    return path, state


def test_four_micro_batches_of_any_sizes_equal_the_batch_of_all_in_float64(rng: np.random.Generator) -> None:
    x, y, sizes = rng.standard_normal((24, 3)), rng.standard_normal(24), np.asarray([3, 9, 5, 7])

    @jax.jit
    def gradient(w: Any, x: Any, y: Any) -> Any:
        return jax.grad(lambda w: jnp.mean(jnp.square(x @ w - y)))(w)

    with float64():
        optimizer, whole = accumulate_gradients(optim.adam(0.1), every=4), optim.adam(0.1)
        w = start = jnp.zeros(3)
        state, full = optimizer.init(w), whole.init(w)
        update, at_once = jax.jit(optimizer.update), jax.jit(whole.update)
        for _ in range(2):
            updates, full = at_once(gradient(start, x, y), full, start)
            start = optax.apply_updates(start, updates)
            parts = zip(np.split(x, sizes.cumsum()[:-1]), np.split(y, sizes.cumsum()[:-1]), sizes, strict=True)
            for part_x, part_y, size in parts:
                updates, state = update(gradient(w, part_x, part_y), state, w, weight=float(size))
                w = optax.apply_updates(w, updates)
        np.testing.assert_allclose(w, start, rtol=1e-12)


def test_equals_multi_steps_of_optax_where_all_is_finite(rng: np.random.Generator) -> None:
    grads = micro_gradients(rng, 7)
    ours, _ = run(accumulate_gradients(optim.momentum(0.1), every=3), grads)
    theirs, _ = run(optax.MultiSteps(optax.sgd(0.1, momentum=0.9), every_k_schedule=3), grads)
    for a, b in zip(ours, theirs, strict=True):
        assert_trees_close(a, b)


def test_between_updates_nothing_moves_and_the_inner_state_stays_to_the_bit(rng: np.random.Generator) -> None:
    optimizer = accumulate_gradients(optim.adam(0.1), every=3)
    params = {"w": np.float32([-0.0, 1.0]), "b": np.float32(0.5)}
    state = optimizer.init(params)
    before = tree.digest(state.inner)
    for grad in micro_gradients(rng, 2):
        updates, state = optimizer.update(grad, state, params)
        assert tree.digest(optax.apply_updates(params, updates)) == tree.digest(jax.tree.map(jnp.asarray, params))
        assert tree.digest(state.inner) == before
    assert int(state.micro_step) == 2


def test_a_bad_micro_batch_is_left_out_of_the_mean_and_counted(rng: np.random.Generator) -> None:
    grads = micro_gradients(rng, 3)
    bad = {**grads[1], "b": np.float32(np.nan)}
    path, state = run(accumulate_gradients(optim.sgd(1.0), every=3), [grads[0], bad, grads[2]])
    expected = jax.tree.map(lambda p, a, b: p - (a + b) / 2, PARAMS, grads[0], grads[2])
    assert_trees_close(path[-1], expected)
    assert (int(state.dropped), int(state.micro_step)) == (1, 0)


def test_where_every_micro_batch_is_bad_there_is_no_update() -> None:
    bad = jax.tree.map(lambda p: np.full_like(p, np.inf), PARAMS)
    optimizer = accumulate_gradients(optim.adam(0.1), every=2)
    path, state = run(optimizer, [bad, bad])
    assert tree.digest(path[-1]) == tree.digest(jax.tree.map(jnp.asarray, PARAMS))
    assert tree.digest(state.inner) == tree.digest(optimizer.init(PARAMS).inner)
    assert int(state.dropped) == 2


def test_micro_batches_of_weight_zero_do_not_count(rng: np.random.Generator) -> None:
    grads = micro_gradients(rng, 4)
    path, state = run(accumulate_gradients(optim.sgd(1.0), every=2), grads, weight=np.float32([3, 0, 0, 0]))
    assert_trees_close(path[1], jax.tree.map(lambda p, g: p - g, PARAMS, grads[0]))
    assert_trees_close(path[3], path[1], rtol=0, atol=0)
    assert int(state.dropped) == 0


def test_bfloat16_gradients_are_summed_in_float32_and_large_ones_do_not_overflow() -> None:
    optimizer = accumulate_gradients(optim.sgd(1.0), every=300)
    one = jnp.ones((), jnp.bfloat16)

    def step(state: Any, _: None) -> tuple[Any, Any]:
        updates, state = optimizer.update(one, state, one)
        return state, updates

    state, updates = jax.lax.scan(step, optimizer.init(one), length=300)
    np.testing.assert_allclose(float(updates[-1]), -1.0)
    np.testing.assert_allclose(state.mean, 1.0, rtol=1e-5)
    opposite = accumulate_gradients(optim.sgd(1.0), every=2)
    state = opposite.init(jnp.zeros(()))
    for gradient in (3e38, -3e38):
        updates, state = opposite.update(jnp.asarray(gradient), state)
    np.testing.assert_array_equal(updates, 0.0)


def test_keyword_arguments_reach_the_transformation_within() -> None:
    optimizer = accumulate_gradients(optax.contrib.reduce_on_plateau(patience=1), every=1)
    grads = jax.tree.map(np.ones_like, PARAMS)
    _, state = run(optimizer, [grads] * 3, value=np.float32([1, 1, 1]))
    np.testing.assert_allclose(state.inner.scale, 0.01, rtol=1e-6)


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        accumulate_gradients(optim.sgd(0.1), every=0)
