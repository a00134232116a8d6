from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim
from fjdl.optim.sam import sharpness_aware
from tests.support import float64

TARGET = {"a": np.asarray([1.0, -2.0]), "b": np.asarray(0.5)}
START = {"a": np.asarray([0.3, 1.0]), "b": np.asarray(-1.0)}


def grad_fn(params: Any) -> Any:
    return jax.tree.map(lambda p, t: 4 * (p - t) ** 3, params, TARGET)


def run(optimizer: Any, grad_fn_of_step: Any, steps: int = 5) -> Any:
    params, state = START, optimizer.init(START)
    for _ in range(steps):
        updates, state = optimizer.update(grad_fn(params), state, params, grad_fn=grad_fn_of_step)
        params = optax.apply_updates(params, updates)
    return np.hstack(jax.tree.leaves(params))


@pytest.mark.parametrize("adaptive", [False, True])
def test_five_steps_equal_the_pseudocode_of_the_papers(adaptive: bool) -> None:
    w, target, velocity = np.asarray([0.3, 1.0, -1.0]), np.asarray([1.0, -2.0, 0.5]), np.zeros(3)
    for _ in range(5):
        g = 4 * (w - target) ** 3
        ascent = w**2 * g / np.linalg.norm(w * g) if adaptive else g / np.linalg.norm(g)
        velocity = 0.9 * velocity + 4 * (w + 0.1 * ascent - target) ** 3
        w = w - 0.001 * velocity
    with float64():
        optimizer = sharpness_aware(optim.momentum(0.001), rho=0.1, adaptive=adaptive)
        np.testing.assert_allclose(run(optimizer, grad_fn), w, rtol=1e-12)


def test_equals_the_opaque_one_of_optax() -> None:
    with float64():
        ascent = optax.chain(optax.contrib.normalize(), optax.sgd(0.1))
        theirs = optax.contrib.sam(optax.adam(0.01), ascent, opaque_mode=True)
        expected = run(theirs, lambda params, _: grad_fn(params))
        actual = run(sharpness_aware(optim.adam(0.01), rho=0.1), grad_fn)
    np.testing.assert_allclose(actual, expected, rtol=1e-10)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_gradients_of_zero_and_of_extreme_size_give_finite_ascents(scale: float, adaptive: bool) -> None:
    seen = []
    optimizer = sharpness_aware(optim.sgd(1.0), rho=0.5, adaptive=adaptive)
    w = jnp.asarray([3.0, -4.0])
    optimizer.update(jnp.asarray([scale, 0.0]), optimizer.init(w), w, grad_fn=lambda p: seen.append(p) or p)
    step = 0.0 if scale == 0 else 0.5 * 3 if adaptive else 0.5
    np.testing.assert_allclose(seen[0], [3 + step, -4], rtol=1e-6)


def test_the_adaptive_ascent_does_not_see_how_layers_are_scaled() -> None:
    seen = []
    optimizer = sharpness_aware(optim.sgd(1.0), rho=0.5, adaptive=True)
    for scale in (1.0, 10.0):
        w = jnp.asarray([3.0 * scale, -4.0 / scale])
        g = jnp.asarray([0.5 / scale, 2.0 * scale])
        optimizer.update(g, optimizer.init(w), w, grad_fn=lambda p: seen.append(p) or p)
    np.testing.assert_allclose(seen[1] / jnp.asarray([10.0, 0.1]), seen[0], rtol=1e-6)


def test_a_bad_gradient_shows_and_the_loss_sees_its_own_dtype() -> None:
    optimizer = sharpness_aware(optim.sgd(1.0))
    w = jnp.ones(2, jnp.bfloat16)
    seen = []
    updates, _ = optimizer.update(
        jnp.asarray([jnp.inf, 1.0], jnp.bfloat16), optimizer.init(w), w, grad_fn=lambda p: seen.append(p.dtype) or p
    )
    assert np.isnan(np.asarray(updates, np.float32)).all()
    assert seen == [jnp.bfloat16]
    assert updates.dtype == jnp.bfloat16


def test_in_a_jitted_chain_the_gradient_function_arrives() -> None:
    optimizer = optax.chain(optax.identity(), sharpness_aware(optim.sgd(0.1)))

    @jax.jit
    def step(w: Any, state: Any) -> Any:
        return optimizer.update(2 * w, state, w, grad_fn=lambda p: 2 * p)[0]

    w = jnp.asarray([1.0, 0.0])
    np.testing.assert_allclose(step(w, optimizer.init(w)), [-0.21, 0.0], rtol=1e-6)


def test_impossible_and_missing_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rho must be positive, got 0\.0"):
        sharpness_aware(optim.sgd(0.1), rho=0.0)
    optimizer = sharpness_aware(optim.sgd(0.1))
    state = optimizer.init(START)
    for arguments, options in [((START, state), {"grad_fn": grad_fn}), ((START, state, START), {})]:
        with pytest.raises(ValueError, match="params and grad_fn must be given to sharpness_aware"):
            optimizer.update(*arguments, **options)
