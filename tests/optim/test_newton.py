from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg

from fjdl.optim.backtracking import scale_by_backtracking
from fjdl.optim.newton import newton, scale_by_newton
from tests.support import float64

SADDLE = np.diag([4.0, -0.5, 1.0])


def quadratic(matrix: np.ndarray, centre: np.ndarray) -> Any:
    def loss(w: Any) -> Any:
        x = jnp.concatenate([w["a"].reshape(-1), w["b"]]) - jnp.asarray(centre)
        return 0.5 * x @ jnp.asarray(matrix) @ x + 7

    return loss


def step(optimizer: Any, loss: Any, params: Any, *, steps: int = 1) -> Any:
    """The parameters after some steps, in one program."""

    def body(_: Any, params: Any) -> Any:
        updates, _ = optimizer.update(jax.grad(loss)(params), optimizer.init(params), params, value_fn=loss)
        return optax.apply_updates(params, updates)

    return jax.jit(lambda params: jax.lax.fori_loop(0, steps, body, params))(params)


def test_one_step_ends_at_the_minimum_of_a_quadratic(rng: np.random.Generator) -> None:
    root, centre = rng.standard_normal((6, 6)), rng.standard_normal(6)
    loss = quadratic(root @ root.T + np.eye(6), centre)
    with float64():
        found = step(newton(), loss, {"a": jnp.ones((2, 2)), "b": jnp.zeros(2)})
    np.testing.assert_allclose(np.concatenate([found["a"].ravel(), found["b"]]), centre, rtol=1e-10)
    found = step(
        newton(), quadratic(np.float32(SADDLE), np.float32([1, 2, 3])), {"a": jnp.ones((1, 1)), "b": jnp.zeros(2)}
    )
    np.testing.assert_allclose(found["b"], [2, 3], rtol=1e-5)  # the saddle itself


@pytest.mark.parametrize("saddle_free", [False, True])
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_the_step_equals_scipy(damping: float, saddle_free: bool, rng: np.random.Generator) -> None:
    matrix = rng.standard_normal((5, 5))
    matrix = matrix + matrix.T
    chosen = scipy.linalg.sqrtm(matrix @ matrix).real if saddle_free else matrix
    with float64():
        params = {"a": jnp.asarray(rng.standard_normal((1, 3))), "b": jnp.asarray(rng.standard_normal(2))}
        loss = quadratic(matrix, np.zeros(5))
        optimizer = scale_by_newton(damping=damping, saddle_free=saddle_free)

        def both(p: Any) -> Any:
            gradient = jax.grad(loss)(p)
            return gradient, optimizer.update(gradient, optimizer.init(p), p, value_fn=loss)[0]

        gradient, updates = jax.jit(both)(params)
    flat = np.concatenate([gradient["a"].ravel(), gradient["b"]])
    expected = np.linalg.solve(chosen + damping * np.eye(5), flat)
    np.testing.assert_allclose(np.concatenate([updates["a"].ravel(), updates["b"]]), expected, rtol=1e-8)


def test_without_a_safeguard_it_goes_to_the_saddle_and_with_it_away_from_it() -> None:
    def loss(w: Any) -> Any:
        return w[0] ** 2 + w[1] ** 4 / 4 - w[1] ** 2 / 2  # a saddle at 0, minima at (0, ±1)

    start = jnp.asarray([1.0, 0.1])
    ends = [step(optimizer, loss, start, steps=12) for optimizer in (newton(), newton(saddle_free=True))]
    np.testing.assert_allclose(ends, [[0, 0], [0, 1]], atol=1e-5)


def test_newton_with_a_line_search_descends_rosenbrock() -> None:
    def loss(w: Any) -> Any:
        return jnp.square(1 - w[0]) + 100 * jnp.square(w[1] - jnp.square(w[0]))

    optimizer = optax.chain(scale_by_newton(saddle_free=True), optax.scale(-1.0), scale_by_backtracking())

    def body(carry: Any, _: None) -> tuple[Any, Any]:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params, value_fn=loss)
        return (optax.apply_updates(params, updates), state), loss(params)

    with float64():
        start = jnp.asarray([-1.2, 1.0])
        (found, _), values = jax.jit(lambda w: jax.lax.scan(body, (w, optimizer.init(w)), length=25))(start)
    np.testing.assert_allclose(found, 1, atol=1e-9)
    assert np.all(np.diff(values) <= 0)


def test_flat_directions_do_not_move_and_give_no_nan() -> None:
    loss = quadratic(np.float32(np.diag([2.0, 0.0, 0.0])), np.zeros(3, np.float32))
    params = {"a": jnp.ones((1, 1)), "b": jnp.ones(2)}
    for optimizer in (newton(), newton(saddle_free=True)):
        found = step(optimizer, loss, params)
        np.testing.assert_allclose(found["a"], [[0]], atol=1e-6)
        np.testing.assert_array_equal(found["b"], [1, 1])
        np.testing.assert_array_equal(step(optimizer, lambda w: 0 * w, jnp.asarray(2.0)), 2)


def test_a_hessian_that_is_not_finite_shows() -> None:
    updates = step(newton(), lambda w: jnp.sum(jnp.sqrt(w)), jnp.zeros(2))
    assert np.all(np.isnan(updates))


def test_damping_is_traceable_and_a_schedule_scales_the_step() -> None:
    loss, w = jnp.square, jnp.asarray(3.0)
    injected = optax.inject_hyperparams(newton)(damping=2.0)
    updates, _ = injected.update(2 * w, injected.init(w), w, value_fn=loss)
    np.testing.assert_allclose(updates, -6 / 4, rtol=1e-6)
    halved = newton(learning_rate=lambda step: 0.5)
    np.testing.assert_allclose(halved.update(2 * w, halved.init(w), w, value_fn=loss)[0], -1.5, rtol=1e-6)


def test_bfloat16_parameters_and_an_empty_tree() -> None:
    w = jnp.asarray([1.0, 2.0], jnp.bfloat16)
    updates = jax.jit(
        lambda w: newton().update(2 * w, newton().init(w), w, value_fn=lambda w: jnp.sum(jnp.square(w)))[0]
    )(w)
    assert updates.dtype == jnp.bfloat16
    np.testing.assert_allclose(updates.astype(np.float32), [-1, -2], rtol=1e-2)
    assert newton().update({}, newton().init({}), {}, value_fn=lambda w: jnp.zeros(()))[0] == {}


def test_a_negative_damping_is_refused() -> None:
    with pytest.raises(ValueError, match=r"damping must not be negative, got -1\.0"):
        newton(damping=-1.0)
