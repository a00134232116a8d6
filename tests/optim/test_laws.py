"""Laws that every row of `table.py` obeys."""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

from fjdl import optim, schedules
from tests.optim.rows import wrapped
from tests.optim.runs import gradients, minimize, network_gradients, oracles, parameters, program, run_jax, stacked
from tests.optim.table import ROWS, Row
from tests.support import assert_trees_close, count_traces, float64, own_names


def rows(names: Iterable[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [pytest.param(ROWS[name], id=name) for name in names])


def cases_with(field: str) -> pytest.MarkDecorator:
    """The rows where `field` says something."""
    return rows(name for name, row in ROWS.items() if getattr(row, field) not in (None, False))


def by_day(names: Iterable[str]) -> pytest.MarkDecorator:
    """Every row at night, and these by day."""
    chosen = {*names}
    return pytest.mark.parametrize(
        "row",
        [pytest.param(row, id=name, marks=[pytest.mark.slow] * (name not in chosen)) for name, row in ROWS.items()],
    )


every_row = rows(ROWS)
where_entries_meet = by_day(name for name, row in ROWS.items() if row.mixes or not row.layout_free)
some_rows = by_day(["sgd", "adam", "adafactor", "muon", "lion"])


@every_row
def test_fifty_float64_steps_of_three_rates_equal_the_oracles(row: Row, rng: np.random.Generator) -> None:
    params = parameters(rng, np.float64)
    grads = list(gradients(rng, params))
    rate = schedules.piecewise_constant(values=(1e-3, 1e-2, 2e-4), boundaries=(10, 25))
    with float64():
        actual = run_jax(row.ours(rate), params, grads)
        expected = list(oracles(row, params, grads, rate))
    assert expected
    for theirs in expected:
        assert_trees_close(actual, theirs, rtol=1e-12, atol=1e-12)


@some_rows  # all of them take fifty steps in float64, and twenty in bfloat16 beside float32
def test_two_hundred_float32_steps_on_a_networks_gradients_equal_the_oracles(row: Row) -> None:
    params, grads = network_gradients()
    actual = run_jax(row.ours(1e-3), params, grads)
    with float64():
        exact = list(oracles(row, *jax.tree.map(np.float64, (params, grads)), 1e-3))
    for theirs in exact:
        assert_trees_close(actual, theirs, rtol=1e-5, atol=1e-6)


@cases_with("quadratic")
def test_three_steps_on_a_quadratic_equal_the_reference_numbers(row: Row) -> None:
    with float64():
        optimizer = row.ours(row.quadratic_rate)
        w, path = jnp.asarray(1.0), []
        state = optimizer.init(w)
        for _ in range(3):
            updates, state = optimizer.update(2 * w, state, w)
            w = optax.apply_updates(w, updates)
            path.append(float(w))
    np.testing.assert_allclose(path, row.quadratic, rtol=0, atol=1e-8)


@some_rows
def test_minimizes_a_parabola(row: Row, rng: np.random.Generator) -> None:
    target = jnp.asarray(rng.standard_normal(5), jnp.float32)

    def loss(w: Any) -> Any:
        return jnp.sum(jnp.square(w - target))

    assert loss(minimize(row.ours(row.parabola), loss, jnp.zeros(5), 2000)) < 1e-3


@pytest.mark.slow
@every_row
def test_descends_the_valley_of_rosenbrock(row: Row) -> None:
    def loss(w: Any) -> Any:
        return jnp.square(1 - w[0]) + 100 * jnp.square(w[1] - jnp.square(w[0]))

    start = jnp.asarray([-1.2, 1.0])
    assert loss(minimize(row.ours(row.rate), loss, start, 10_000)) < 1e-2 * loss(start)


@every_row
def test_a_second_update_does_not_compile_again(row: Row, rng: np.random.Generator) -> None:
    optimizer = row.ours(schedules.cosine(peak=0.1, steps=10))
    params = jax.tree.map(jnp.asarray, parameters(rng))
    update, traces = count_traces(optimizer.update)
    updates, state = jax.eval_shape(update, params, jax.eval_shape(optimizer.init, params), params)
    jax.eval_shape(update, updates, state, jax.eval_shape(optax.apply_updates, params, updates))
    assert len(traces) == 1


@every_row
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_state_keeps_its_form_in_scan_and_cond(row: Row, dtype: Any, rng: np.random.Generator) -> None:
    optimizer = row.ours(0.1)
    params = jax.tree.map(lambda p: jnp.asarray(p, dtype), parameters(rng))
    state = optimizer.init(params)

    def updated(state: Any) -> Any:
        return optimizer.update(params, state, params)[1]

    scanned = jax.eval_shape(lambda s: jax.lax.scan(lambda s, _: (updated(s), None), s, length=3)[0], state)
    skipped = jax.eval_shape(lambda s: jax.lax.cond(True, lambda s: s, updated, s), state)
    forms = [jax.tree.map(lambda x: (x.shape, x.dtype), s) for s in (state, scanned, skipped)]
    assert forms[0] == forms[1] == forms[2]


@every_row
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_state_is_float32_and_the_update_has_the_parameters_dtype(
    row: Row, dtype: Any, rng: np.random.Generator
) -> None:
    optimizer = row.ours(schedules.constant(0.1))
    params = jax.tree.map(lambda p: jnp.asarray(p, dtype), parameters(rng))
    with jax.numpy_dtype_promotion("strict"):
        updates, state = jax.eval_shape(lambda p: optimizer.update(p, optimizer.init(p), p), params)
        applied = jax.eval_shape(optax.apply_updates, params, updates)
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(dtype)}
    assert {leaf.dtype for leaf in jax.tree.leaves(applied)} == {jnp.dtype(dtype)}
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} <= {jnp.dtype(jnp.float32), jnp.dtype(jnp.int32)}


@every_row
def test_float64_parameters_have_float64_state(row: Row, rng: np.random.Generator) -> None:
    with float64():
        optimizer = row.ours(0.1)
        params = jax.tree.map(jnp.asarray, parameters(rng, np.float64))
        with jax.numpy_dtype_promotion("strict"):
            updates, state = jax.eval_shape(lambda p: optimizer.update(p, optimizer.init(p), p), params)
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(jnp.float64)}
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} <= {jnp.dtype(jnp.float64), jnp.dtype(jnp.int32)}


@cases_with("rounded")
def test_bfloat16_updates_are_the_float32_ones_rounded(row: Row, rng: np.random.Generator) -> None:
    params = parameters(rng)
    coarse = jax.tree.map(lambda p: jnp.asarray(p, jnp.bfloat16), params)
    exact = jax.tree.map(lambda p: p.astype(jnp.float32), coarse)
    optimizer = row.ours(0.1)

    def repeated(params: Any) -> tuple[Any, Any]:
        def step(state: Any, _: None) -> tuple[Any, Any]:
            return optimizer.update(params, state, params)[::-1]

        state, updates = jax.lax.scan(step, optimizer.init(params), length=20)
        return jax.tree.map(lambda u: u[-1], updates), state

    (rounded, state), (expected, exact_state) = jax.jit(lambda *sets: [repeated(p) for p in sets])(coarse, exact)
    assert_trees_close(rounded, expected, rtol=2**-6, atol=0)
    assert_trees_close(state[-1], exact_state[-1], rtol=0, atol=0)


@cases_with("still")
def test_zero_gradients_move_nothing_without_weight_decay(row: Row, rng: np.random.Generator) -> None:
    decays = row.options.get("weight_decay")
    optimizer = row.factory(1e-3, **{**row.options, "weight_decay": 0.0}) if decays else ours(row)
    params = parameters(rng)
    zero = jax.tree.map(np.zeros_like, params)
    assert_trees_close(run_jax(optimizer, params, [zero] * 6), params, rtol=0, atol=0)


@some_rows
def test_accumulation_of_a_masked_chain_equals_the_big_batch(row: Row, rng: np.random.Generator) -> None:
    params = parameters(rng)
    grads = list(gradients(rng, params, steps=4))
    mask = {"dense": {"kernel": True, "bias": False}, "gain": True}
    masked = optax.chain(
        optax.clip(1.0),
        optax.masked(row.ours(1e-3), mask),
        optax.masked(optax.set_to_zero(), {"dense": {"kernel": False, "bias": True}, "gain": False}),
    )
    twice = optax.MultiSteps(masked, every_k_schedule=2)
    result = run_jax(optax.GradientTransformation(twice.init, twice.update), params, grads)
    halves = [np.clip((a + b) / 2, -1, 1) for a, b in zip(*map(_kernels, (grads[::2], grads[1::2])), strict=True)]
    (expected,) = list(oracles(row, params["dense"]["kernel"], halves, 1e-3))[:1]
    np.testing.assert_allclose(result["dense"]["kernel"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result["dense"]["bias"], params["dense"]["bias"])


def _kernels(grads: list[Any]) -> list[np.ndarray]:
    return [grad["dense"]["kernel"] for grad in grads]


@where_entries_meet
def test_the_layout_of_the_tree_does_not_matter(row: Row, rng: np.random.Generator) -> None:
    params, grads = six_gradients(rng)
    expected = run_jax(ours(row), params, grads)
    relaid = _as_vector if row.layout_free else jax.tree.leaves
    actual = run_jax(ours(row), relaid(params), [relaid(grad) for grad in grads])
    assert_trees_close(actual, relaid(expected), rtol=1e-6, atol=1e-7)


def six_gradients(rng: np.random.Generator) -> tuple[Any, list[Any]]:
    params = parameters(rng)
    return params, list(gradients(rng, params, steps=6))


def ours(row: Row) -> optax.GradientTransformation:
    """One object for each row, so that `program` compiles it once."""
    return OURS.setdefault(id(row), row.ours(1e-3))


OURS: dict[int, optax.GradientTransformation] = {}


def _as_vector(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@where_entries_meet
def test_sharded_parameters_give_the_same_steps(row: Row, rng: np.random.Generator) -> None:
    params, grads = six_gradients(rng)
    actual = program(ours(row))(on_four_devices(params), on_four_devices(stacked(grads), but=1))
    assert_trees_close(actual, run_jax(ours(row), params, grads), rtol=1e-6, atol=1e-7)


def on_four_devices(tree: Any, *, but: int = 0) -> Any:
    """Arrays that are sharded along their last axis, if they have one after the first `but`."""
    mesh = jax.make_mesh((4,), ("model",))

    def placed(x: np.ndarray) -> jax.Array:
        spec = jax.P(*[None] * (x.ndim - 1), "model") if x.ndim > but else jax.P()
        return jax.device_put(x, jax.NamedSharding(mesh, spec))

    return jax.tree.map(placed, tree)


@pytest.mark.by_day_on_pin(0)
def test_every_state_continues_bitwise_from_a_checkpoint(tmp_path: Path, rng: np.random.Generator) -> None:
    params = jax.tree.map(jnp.asarray, parameters(rng))
    states = {name: row.ours(schedules.cosine(peak=0.1, steps=10)).init(params) for name, row in ROWS.items()}
    updated = {
        name: row.ours(schedules.cosine(peak=0.1, steps=10)).update(params, states[name], params)[1]
        for name, row in ROWS.items()
    }
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", updated)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "state", states)
    assert jax.tree.structure(restored) == jax.tree.structure(updated)
    for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(updated), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@every_row
def test_injected_hyper_parameters_give_the_same_steps(row: Row, rng: np.random.Generator) -> None:
    params, grads = six_gradients(rng)
    injected = optax.inject_hyperparams(row.factory)(learning_rate=1e-3, **row.options)
    with jax.numpy_dtype_promotion("strict"):
        actual = run_jax(injected, params, grads)
    assert_trees_close(actual, run_jax(ours(row), params, grads), rtol=1e-5, atol=1e-6)


@every_row
@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_an_impossible_learning_rate_is_refused(row: Row, rate: float) -> None:
    with pytest.raises(ValueError, match=f"learning_rate must be finite and not negative, got {rate}"):
        row.ours(rate)


@every_row
def test_an_empty_tree_is_fine(row: Row) -> None:
    optimizer = row.ours(0.1)
    assert optimizer.update({}, optimizer.init({}), {})[0] == {}


def test_every_alias_is_in_the_table() -> None:
    with_a_rate = {
        name
        for name in own_names(optim)
        if callable(alias := getattr(optim, name))
        and next(iter(inspect.signature(alias).parameters), "") == "learning_rate"
        and name != "scale_by_learning_rate"
    }
    assert with_a_rate == ROWS.keys() - wrapped.ROWS.keys()
