"""Laws that every row of `table.py` obeys."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl import optim, schedules
from tests.optim.table import ROWS, Row
from tests.support import assert_trees_close, count_traces, float64

every_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
STEPS = 50


def parameters(rng: np.random.Generator, dtype: Any = np.float32) -> dict[str, Any]:
    tree = {
        "dense": {"kernel": rng.standard_normal((4, 3)), "bias": rng.standard_normal(3)},
        "gain": rng.standard_normal(()),
    }
    return jax.tree.map(lambda x: np.asarray(x, dtype), tree)


def gradients(rng: np.random.Generator, params: Any, steps: int = STEPS) -> Iterator[Any]:
    """Of magnitudes 1e-6 to 1e3, with a column that never receives any."""
    for _ in range(steps):
        scale = 10.0 ** rng.uniform(-6, 3)
        tree = jax.tree.map(lambda p: np.asarray(scale * rng.standard_normal(p.shape), p.dtype), params)  # noqa: B023
        tree["dense"]["kernel"][:, 1] = 0
        yield tree


def run_jax(optimizer: optax.GradientTransformation, params: Any, grads: list[Any]) -> Any:
    params = jax.tree.map(jnp.asarray, params)
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for grad in grads:
        updates, state = update(jax.tree.map(jnp.asarray, grad), state, params)
        params = optax.apply_updates(params, updates)
    return params


def run_torch(row: Row, params: Any, grads: list[Any], rate: float) -> Any:
    leaves, structure = jax.tree.flatten(params)
    tensors = [torch.nn.Parameter(torch.tensor(leaf)) for leaf in leaves]
    optimizer = row.torch(tensors, lr=rate)
    for grad in grads:
        for tensor, leaf in zip(tensors, jax.tree.leaves(grad), strict=True):
            tensor.grad = torch.tensor(leaf)
        optimizer.step()
    return jax.tree.unflatten(structure, [tensor.detach().numpy() for tensor in tensors])


def minimize(optimizer: optax.GradientTransformation, loss: Callable[[Any], Any], params: Any, steps: int) -> Any:
    def step(carry: Any, _: None) -> tuple[Any, None]:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.jit(lambda p: jax.lax.scan(step, (p, optimizer.init(p)), length=steps)[0][0])(params)


@every_row
def test_fifty_float64_steps_equal_torch(row: Row, rng: np.random.Generator) -> None:
    params = parameters(rng, np.float64)
    grads = list(gradients(rng, params))
    with float64():
        assert_trees_close(
            run_jax(row.ours(1e-3), params, grads), run_torch(row, params, grads, 1e-3), rtol=1e-12, atol=1e-12
        )


@every_row
def test_fifty_float64_steps_equal_optax(row: Row, rng: np.random.Generator) -> None:
    params = parameters(rng, np.float64)
    grads = list(gradients(rng, params))
    with float64():
        expected = run_jax(row.optax(1e-3), params, grads)
        assert_trees_close(run_jax(row.ours(1e-3), params, grads), expected, rtol=1e-12, atol=1e-12)


@every_row
def test_fifty_float32_steps_equal_torch(row: Row, rng: np.random.Generator) -> None:
    params = parameters(rng)
    grads = list(gradients(rng, params))
    assert_trees_close(
        run_jax(row.ours(1e-3), params, grads), run_torch(row, params, grads, 1e-3), rtol=3e-6, atol=1e-6
    )


@every_row
def test_three_steps_on_a_quadratic_equal_the_reference_numbers(row: Row) -> None:
    with float64():
        optimizer = row.ours(0.1)
        w, path = jnp.asarray(1.0), []
        state = optimizer.init(w)
        for _ in range(3):
            updates, state = optimizer.update(2 * w, state, w)
            w = optax.apply_updates(w, updates)
            path.append(float(w))
    np.testing.assert_allclose(path, row.quadratic, rtol=0, atol=1e-8)


@every_row
def test_minimizes_a_parabola(row: Row, rng: np.random.Generator) -> None:
    target = jnp.asarray(rng.standard_normal(5), jnp.float32)

    def loss(w: Any) -> Any:
        return jnp.sum(jnp.square(w - target))

    assert loss(minimize(row.ours(0.01), loss, jnp.zeros(5), 2000)) < 1e-3


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
    updates, state = update(params, optimizer.init(params), params)
    update(updates, state, optax.apply_updates(params, updates))
    assert len(traces) == 1


@every_row
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_state_keeps_its_form_in_scan_and_cond(row: Row, dtype: Any, rng: np.random.Generator) -> None:
    optimizer = row.ours(0.1)
    params = jax.tree.map(lambda p: jnp.asarray(p, dtype), parameters(rng))
    state = optimizer.init(params)
    _, scanned = jax.lax.scan(lambda s, _: (optimizer.update(params, s, params)[1], None), state, length=3)[::-1]
    skipped = jax.lax.cond(jnp.asarray(True), lambda s: s, lambda s: optimizer.update(params, s, params)[1], state)
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
        updates, state = optimizer.update(params, optimizer.init(params), params)
        applied = optax.apply_updates(params, updates)
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(dtype)}
    assert {leaf.dtype for leaf in jax.tree.leaves(applied)} == {jnp.dtype(dtype)}
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} <= {jnp.dtype(jnp.float32), jnp.dtype(jnp.int32)}


@every_row
def test_float64_parameters_have_float64_state(row: Row, rng: np.random.Generator) -> None:
    with float64():
        optimizer = row.ours(0.1)
        params = jax.tree.map(jnp.asarray, parameters(rng, np.float64))
        with jax.numpy_dtype_promotion("strict"):
            updates, state = optimizer.update(params, optimizer.init(params), params)
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(jnp.float64)}
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} <= {jnp.dtype(jnp.float64), jnp.dtype(jnp.int32)}


@every_row
def test_bfloat16_updates_are_the_float32_ones_rounded(row: Row, rng: np.random.Generator) -> None:
    params = parameters(rng)
    coarse = jax.tree.map(lambda p: jnp.asarray(p, jnp.bfloat16), params)
    exact = jax.tree.map(lambda p: p.astype(jnp.float32), coarse)
    optimizer = row.ours(0.1)
    states = [optimizer.init(coarse), optimizer.init(exact)]
    for _ in range(20):
        rounded, states[0] = optimizer.update(coarse, states[0], coarse)
        expected, states[1] = optimizer.update(exact, states[1], exact)
    assert_trees_close(rounded, expected, rtol=2**-6, atol=0)
    assert_trees_close(states[0][-1], states[1][-1], rtol=0, atol=0)


@every_row
def test_zero_gradients_move_nothing_without_weight_decay(row: Row, rng: np.random.Generator) -> None:
    optimizer = row.factory(
        0.1, **({**row.options, "weight_decay": 0.0} if "weight_decay" in row.options else row.options)
    )
    params = jax.tree.map(jnp.asarray, parameters(rng))
    zero = jax.tree.map(np.zeros_like, params)
    assert_trees_close(run_jax(optimizer, params, [zero] * 5), params, rtol=0, atol=0)


@every_row
def test_composes_with_masked_multisteps_and_foreign_transformations(row: Row, rng: np.random.Generator) -> None:
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
    theirs = optax.chain(optax.clip(1.0), row.optax(1e-3))
    halves = [jax.tree.map(lambda a, b: (a + b) / 2, *grads[i : i + 2]) for i in (0, 2)]
    expected = run_jax(theirs, params, halves)
    expected["dense"]["bias"] = params["dense"]["bias"]
    assert_trees_close(result, expected, rtol=1e-5, atol=1e-6)


@every_row
@pytest.mark.parametrize("promotion", ["standard", "strict"])
def test_hyper_parameters_can_be_injected(row: Row, promotion: Any, rng: np.random.Generator) -> None:
    params = parameters(rng)
    grads = list(gradients(rng, params, steps=5))
    injected = optax.inject_hyperparams(row.factory)(learning_rate=1e-3, **row.options)
    with jax.numpy_dtype_promotion(promotion):
        actual = run_jax(injected, params, grads)
    assert_trees_close(actual, run_jax(row.ours(1e-3), params, grads), rtol=1e-5, atol=1e-6)


@every_row
def test_a_schedule_gives_the_rate_of_every_step(row: Row, rng: np.random.Generator) -> None:
    params = parameters(rng)
    grads = list(gradients(rng, params, steps=6))
    ours = run_jax(row.ours(schedules.cosine(peak=1e-2, steps=5)), params, grads)
    theirs = run_jax(row.optax(optax.cosine_decay_schedule(1e-2, 5)), params, grads)
    assert_trees_close(ours, theirs, rtol=1e-5, atol=1e-6)


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
    aliases = {
        name for name in optim.__all__ if name.islower() and not name.startswith(("scale_", "add_", "clip_", "ema_"))
    }
    assert aliases == ROWS.keys()
