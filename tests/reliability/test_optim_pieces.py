"""Faults that the pieces around optimizers had in other libraries, and what must hold instead."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim, tree
from fjdl.optim.accumulate import accumulate_gradients
from fjdl.optim.average import ema
from fjdl.optim.clip import clip_by_global_norm, clip_by_norm, clip_by_value
from fjdl.optim.decay import add_independent_decay
from fjdl.optim.guard import skip_non_finite
from tests.optim.table import ROWS
from tests.support import float64

NAN, INF = np.float32(np.nan), np.float32(np.inf)


def path(optimizer: Any, params: Any, grads: list[Any]) -> list[Any]:
    """The parameters after each step."""
    state, update, result = optimizer.init(params), jax.jit(optimizer.update), []
    for grad in grads:
        updates, state = update(grad, state, params)
        params = optax.apply_updates(params, updates)
        result.append(params)
    return result


def test_r30_methods_that_all_libraries_define_alike_are_held_to_two_of_them() -> None:
    alike = {"sgd", "momentum", "nesterov", "adam", "adamw"}
    assert alike <= ROWS.keys()
    assert all(ROWS[name].torch is not None and ROWS[name].optax is not None for name in alike)


@pytest.mark.parametrize("multiplied", [True, False])
def test_r36_decoupled_decay_is_multiplied_by_the_scheduled_rate_and_independent_decay_is_not(multiplied: bool) -> None:
    rates, decay = np.asarray([0.1, 0.05, 0.025, 0.5]), 0.3

    def schedule(step: Any) -> Any:
        return jnp.asarray(rates)[step]

    with float64():
        w = jnp.asarray(2.0)
        optimizer = (
            optim.adamw(schedule, weight_decay=decay)
            if multiplied
            else optax.chain(optim.adam(schedule), add_independent_decay(decay))
        )
        actual = path(optimizer, w, [jnp.zeros(())] * 4)
    expected = 2 * np.cumprod(1 - rates * decay if multiplied else np.full(4, 1 - decay))
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_r37_with_zero_gradients_only_kernels_shrink() -> None:
    params = {
        "conv": {"kernel": np.ones((2, 2), np.float32), "bias": np.ones(2, np.float32)},
        "norm": {"scale": np.ones(2, np.float32), "bias": np.ones(2, np.float32)},
        "embed": {"embedding": np.ones((3, 2), np.float32)},
        "temperature": np.ones((), np.float32),
    }
    optimizer = optim.adamw(0.1, weight_decay=0.5, decay_rules=optim.KERNELS)
    after = path(optimizer, params, [jax.tree.map(np.zeros_like, params)] * 2)[-1]
    np.testing.assert_allclose(after["conv"].pop("kernel"), (1 - 0.05) ** 2, rtol=1e-6)
    assert all((leaf == 1).all() for leaf in jax.tree.leaves(after))


def test_r38_no_number_of_bad_steps_lets_a_nan_through_as_it_does_in_optax() -> None:
    w = jnp.asarray([1.0, -2.0])
    grads = [w, *[jnp.asarray([NAN, 1.0])] * 6]
    theirs = path(optax.apply_if_finite(optax.adam(0.1), max_consecutive_errors=4), w, grads)
    ours = path(skip_non_finite(optim.adam(0.1)), w, grads)
    assert np.isnan(theirs[-1]).any()
    assert tree.digest(ours[-1]) == tree.digest(ours[0])


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_r39_clipping_shows_a_bad_entry_everywhere_it_can_reach(bad: np.float32) -> None:
    grads = {"a": np.asarray([1, bad], np.float32), "b": np.ones(2, np.float32)}
    together, apart, entries = (
        clip.update(grads, clip.init(grads))[0]
        for clip in (clip_by_global_norm(1.0), clip_by_norm(1.0), clip_by_value(1.0))
    )
    assert all(np.isnan(leaf).all() for leaf in together.values())
    assert np.isnan(apart["a"]).all()
    np.testing.assert_allclose(apart["b"], 2**-0.5, rtol=1e-6)
    np.testing.assert_array_equal(entries["a"], [1, np.sign(bad)])


def test_r39_a_norm_that_would_overflow_does_not_silently_stop_all_learning() -> None:
    grads = {"a": np.full(2, 1e30, np.float32), "b": np.ones(1, np.float32)}
    theirs = optax.clip_by_global_norm(1.0).update(grads, optax.EmptyState())[0]
    ours = clip_by_global_norm(1.0).update(grads, optax.EmptyState())[0]
    assert all((leaf == 0).all() for leaf in theirs.values())
    np.testing.assert_allclose(ours["a"], 2**-0.5, rtol=1e-6)


def test_r39_around_a_clipped_chain_the_guard_skips_and_counts() -> None:
    optimizer = skip_non_finite(optax.chain(clip_by_value(1.0), optim.adam(0.1)))
    w = jnp.ones(2)
    state = optimizer.init(w)
    for grad in ([1.0, INF], [NAN, 0.0]):
        updates, state = optimizer.update(jnp.asarray(grad), state, w)
        np.testing.assert_array_equal(updates, 0.0)
    assert int(state.skipped) == 2


def test_r44_one_bad_micro_batch_does_not_poison_the_accumulator_as_it_does_in_optax() -> None:
    w = jnp.asarray([1.0, -2.0])
    grads = [w, jnp.asarray([NAN, 1.0]), w, w]
    theirs = path(optax.MultiSteps(optax.sgd(0.1), every_k_schedule=2), w, grads)
    ours = path(accumulate_gradients(optim.sgd(0.1), every=2), w, grads)
    assert np.isnan(theirs[-1]).any()
    np.testing.assert_allclose(ours[1], 0.9 * w, rtol=1e-6)
    np.testing.assert_allclose(ours[3], 0.8 * w, rtol=1e-6)


def test_r45_averages_of_a_constant_are_that_constant_from_the_first_on_and_kept_in_float32() -> None:
    one = jnp.ones(2, jnp.bfloat16)
    tracker = ema(0.999)
    average, state = tracker.update(one, tracker.init(one))
    np.testing.assert_array_equal(np.asarray(average, np.float32), 1.0)
    assert state.average.dtype == jnp.float32
    exact, _ = tracker.update(jnp.ones(2), tracker.init(jnp.ones(2)))
    np.testing.assert_array_equal(exact, 1.0)


def test_r45_batch_statistics_are_averaged_where_the_tree_has_them() -> None:
    variables = {"params": {"w": jnp.zeros(1)}, "batch_stats": {"mean": jnp.zeros(1)}}
    after = optim.ema_update(optim.ema_init(variables), jax.tree.map(jnp.ones_like, variables), decay=0.75)
    np.testing.assert_array_equal(np.hstack(jax.tree.leaves(after)), 0.25)
