from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
import torch

from fjdl.optim.base import scale_by_learning_rate
from fjdl.optim.lbfgs import lbfgs, scale_by_lbfgs
from tests.support import assert_trees_close, count_traces, float64


def rosenbrock(w: Any) -> Any:
    return jnp.sum(100 * jnp.square(w[1:] - jnp.square(w[:-1])) + jnp.square(1 - w[:-1]))


def start(size: int) -> np.ndarray:
    return np.tile([-1.2, 1.0], size // 2)


def minimize(optimizer: Any, loss: Callable[[Any], Any], params: Any, steps: int) -> tuple[Any, np.ndarray]:
    """The parameters after a scan that reuses what the search has computed, and the loss before each step."""
    read = optax.value_and_grad_from_state(loss)

    def step(carry: Any, _: None) -> tuple[Any, Any]:
        params, state = carry
        value, grad = read(params, state=state)
        updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return (optax.apply_updates(params, updates), state), value

    (params, _), values = jax.jit(lambda p: jax.lax.scan(step, (p, optimizer.init(p)), length=steps))(params)
    return params, np.asarray(values)


@pytest.mark.parametrize("size", [2, 20])
def test_finds_the_minimum_of_rosenbrock_in_about_as_many_iterations_as_scipy(size: int) -> None:
    with float64():
        params, values = minimize(lbfgs(), rosenbrock, jnp.asarray(start(size)), 180)
        scipy_result = scipy.optimize.minimize(
            jax.jit(rosenbrock), start(size), jac=jax.jit(jax.grad(rosenbrock)), method="L-BFGS-B",
            options={"maxcor": 10, "ftol": 0, "gtol": 1e-9},
        )  # fmt: skip
    np.testing.assert_allclose(params, scipy_result.x, atol=1e-6)
    np.testing.assert_allclose(params, 1, atol=1e-8)
    assert np.all(np.diff(values) <= 0)
    iterations = int(np.argmax(values < 1e-14))
    assert 0 < iterations < 1.2 * scipy_result.nit


def test_finds_the_minimum_that_torch_finds() -> None:
    rng = np.random.default_rng(0)
    matrix, target = rng.standard_normal((30, 6)), rng.integers(0, 2, 30).astype(np.float64)

    def logistic(w: Any) -> Any:
        logits = jnp.asarray(matrix) @ w
        return jnp.mean(jnp.logaddexp(0, logits) - target * logits) + 0.01 * jnp.sum(jnp.square(w))

    with float64():
        params, _ = minimize(lbfgs(memory=5), logistic, jnp.zeros(6, jnp.float64), 30)
    w = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [w], max_iter=100, history_size=5, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Any:
        optimizer.zero_grad()
        logits = torch.tensor(matrix) @ w
        loss = torch.mean(torch.logaddexp(torch.zeros(()), logits) - torch.tensor(target) * logits)
        loss = loss + 0.01 * torch.sum(w**2)
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(params, w.detach(), atol=1e-8)


def gradients(params: Any, *, steps: int = 9) -> list[Any]:
    """Gradients of a parabola along a path that has nothing to do with them, so that every pair has s·y > 0."""
    rng = np.random.default_rng(1)
    path = [jax.tree.map(lambda p: p + rng.standard_normal(p.shape), params) for _ in range(steps)]
    return [(w, jax.tree.map(lambda x: 2 * x + 0.1 * x**3, w)) for w in path]


PARAMS = {"kernel": np.ones((3, 2)), "bias": np.zeros(2), "gain": np.ones(())}


def test_the_direction_equals_optax_while_the_ring_fills_and_turns() -> None:
    with float64():
        ours, theirs = scale_by_lbfgs(memory=4), optax.scale_by_lbfgs(memory_size=4)
        states = [ours.init(jax.tree.map(jnp.asarray, PARAMS)), theirs.init(jax.tree.map(jnp.asarray, PARAMS))]
        updates = [jax.jit(ours.update), jax.jit(theirs.update)]
        for w, gradient in gradients(PARAMS):
            (a, states[0]), (b, states[1]) = (u(gradient, s, w) for u, s in zip(updates, states, strict=True))
            assert_trees_close(a, b, rtol=1e-10, atol=1e-12)


def test_the_direction_equals_torch_after_its_first_step() -> None:
    w = torch.ones(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], lr=0.1, max_iter=1, history_size=3)
    scales = torch.tensor([1.0, 2.0, 5.0, 10.0], dtype=torch.float64)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = torch.sum(scales * w**2 + w**4)
        loss.backward()
        return loss

    with float64():
        ours = optax.chain(scale_by_lbfgs(memory=3), scale_by_learning_rate(0.1))
        state = ours.init(jnp.ones(4, jnp.float64))
        for step in range(6):
            before = w.detach().numpy().copy()
            optimizer.step(closure)
            gradient = 2 * scales.numpy() * before + 4 * before**3
            updates, state = ours.update(jnp.asarray(gradient), state, jnp.asarray(before))
            moved = w.detach().numpy() - before
            if step == 0:  # theirs is scaled by the sum of |g|, ours by the norm
                moved = moved * np.abs(gradient).sum() / np.linalg.norm(gradient)
            np.testing.assert_allclose(updates, moved, rtol=1e-7)


def test_a_pair_without_positive_curvature_is_left_out() -> None:
    transformation = scale_by_lbfgs(memory=2)
    first, second = jnp.asarray([1.0, 0.0]), jnp.asarray([2.0, 1.0])
    _, state = transformation.update(jnp.asarray([2.0, 1.0]), transformation.init(first), first)
    updates, after = transformation.update(jnp.asarray([1.0, 0.5]), state, second)  # s·y = −1.5
    np.testing.assert_array_equal(after.weights, [0, 0])
    assert (int(after.position), float(after.scale)) == (0, 0.0)
    np.testing.assert_allclose(updates, np.divide([1.0, 0.5], max(np.hypot(1.0, 0.5), 1.0)), rtol=1e-6)
    _, after = transformation.update(jnp.asarray([3.0, 2.5]), after, jnp.asarray([3.0, 1.0]))  # s·y = 2, y·y = 8
    np.testing.assert_allclose(after.weights, [0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(after.scale, 0.25, rtol=1e-6)


def test_at_a_minimum_it_stands_still_without_nan() -> None:
    params, values = minimize(lbfgs(memory=3), lambda w: jnp.sum(jnp.square(w)), jnp.zeros(3), 4)
    np.testing.assert_array_equal(params, 0)
    np.testing.assert_array_equal(values, 0)


def test_in_float32_it_ends_within_rounding_of_the_minimum() -> None:
    params, _ = minimize(lbfgs(), lambda w: 1 + jnp.sum(jnp.square(w - 2) + 0.1 * w**4), jnp.zeros(3), 30)
    root = scipy.optimize.brentq(lambda w: 2 * (w - 2) + 0.4 * w**3, 0, 2)
    np.testing.assert_allclose(params, root, rtol=1e-3)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_state_keeps_its_form_and_is_float32_and_nothing_compiles_again(dtype: Any) -> None:
    optimizer = lbfgs(memory=3)
    params = jax.tree.map(lambda p: jnp.asarray(p, dtype), PARAMS)

    def loss(params: Any) -> Any:
        return sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params))

    def run(grads: Any, state: Any, params: Any) -> Any:
        with jax.numpy_dtype_promotion("strict"):
            return optimizer.update(grads, state, params, value_fn=loss)

    update, traces = count_traces(run)
    state = optimizer.init(params)
    updates, after = update(params, state, params)
    update(updates, after, params)
    assert len(traces) == 1
    forms = [jax.tree.map(lambda x: (x.shape, x.dtype), s) for s in (state, after)]
    assert forms[0] == forms[1]
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype(dtype)}
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(state)} == {"float32", "int32", "bool"}


def test_an_empty_tree_is_fine() -> None:
    optimizer = lbfgs(memory=2)
    updates, _ = optimizer.update({}, optimizer.init({}), {}, value_fn=lambda params: jnp.zeros(()))
    assert updates == {}


def test_no_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="memory must be at least 1, got 0"):
        lbfgs(memory=0)
