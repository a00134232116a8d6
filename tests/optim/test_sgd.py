import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim
from tests.support import float64


def test_nesterov_holds_the_look_ahead_point_of_the_textbook_form() -> None:
    w, v, points = 1.0, 0.0, []  # v = 0.9 v - 0.1 f'(w + 0.9 v), w = w + v on f(w) = w²
    for _ in range(3):
        v = 0.9 * v - 0.1 * 2 * (w + 0.9 * v)
        w = w + v
        points.append((w, w + 0.9 * v))
    np.testing.assert_allclose([w for w, _ in points], [0.8, 0.496, 0.17792], atol=1e-12)
    with float64():
        optimizer = optim.nesterov(0.1, momentum=0.9)
        held, state = jnp.asarray(1.0), optimizer.init(jnp.asarray(1.0))
        for _, ahead in points:
            updates, state = optimizer.update(2 * held, state)
            held = optax.apply_updates(held, updates)
            np.testing.assert_allclose(held, ahead, atol=1e-12)


def test_under_a_schedule_the_learning_rate_stays_outside_of_the_velocity() -> None:
    with float64():
        optimizer = optim.momentum(lambda step: 0.1 * 0.5**step, momentum=0.9)
        w, state, path = jnp.asarray(1.0), optimizer.init(jnp.asarray(1.0)), []
        for _ in range(3):
            updates, state = optimizer.update(2 * w, state)
            w = optax.apply_updates(w, updates)
            path.append(float(w))
    np.testing.assert_allclose(path, [0.8, 0.63, 0.522], atol=1e-12)


def test_velocity_sums_in_float32_what_bfloat16_would_lose() -> None:
    transformation = optim.scale_by_momentum(0.999)
    state = transformation.init(jnp.zeros((), jnp.bfloat16))
    for _ in range(1000):
        _, state = transformation.update(jnp.asarray(1.0, jnp.bfloat16), state)
    np.testing.assert_allclose(state.velocity, (1 - 0.999**1000) / 0.001, rtol=1e-4)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, 1.5, float("nan")])
@pytest.mark.parametrize("factory", [optim.momentum, optim.nesterov])
def test_momentum_outside_of_its_range_is_refused(factory: object, momentum: float) -> None:
    with pytest.raises(ValueError, match=rf"momentum must lie in \[0, 1\), got {momentum}"):
        factory(0.1, momentum=momentum)  # type: ignore[operator]


def test_momentum_zero_is_gradient_descent() -> None:
    gradient = jnp.asarray([1.0, -2.0])
    for factory in (optim.momentum, optim.nesterov):
        optimizer = factory(0.1, momentum=0.0)
        np.testing.assert_array_equal(optimizer.update(gradient, optimizer.init(gradient))[0], -0.1 * gradient)


def test_e81_with_the_learning_rate_inside_the_velocity_keeps_its_old_speed() -> None:
    with float64():
        optimizer = optim.heavy_ball(lambda step: 0.1 * 0.5**step, momentum=0.9)
        w, state, path = jnp.asarray(1.0), optimizer.init(jnp.asarray(1.0)), []
        for _ in range(3):
            updates, state = optimizer.update(2 * w, state)
            w = optax.apply_updates(w, updates)
            path.append(float(w))
    np.testing.assert_allclose(path, [0.8, 0.54, 0.279], atol=1e-12)


def test_momentum_with_the_gradient_of_the_look_ahead_point_is_the_textbooks_nesterov() -> None:
    with float64():
        optimizer = optim.momentum(0.1, momentum=0.9)
        w, state, path = jnp.asarray(1.0), optimizer.init(jnp.asarray(1.0)), []
        for _ in range(3):
            point = optim.look_ahead(w, state[0].velocity, learning_rate=0.1, momentum=0.9)
            updates, state = optimizer.update(2 * point, state)
            w = optax.apply_updates(w, updates)
            path.append(float(w))
    np.testing.assert_allclose(path, [0.8, 0.496, 0.17792], atol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (optim.scale_by_momentum(0.9, velocity_dtype=jnp.bfloat16), optax.trace(0.9, accumulator_dtype=jnp.bfloat16)),
        (
            optim.scale_by_nesterov(0.9, velocity_dtype=jnp.bfloat16),
            optax.trace(0.9, nesterov=True, accumulator_dtype=jnp.bfloat16),
        ),
    ],
)
def test_a_coarse_velocity_is_optax_s(ours: optax.GradientTransformation, theirs: optax.GradientTransformation) -> None:
    gradient = jnp.asarray([1.0, -2.3, 1e-3])
    states = [ours.init(gradient), theirs.init(gradient)]
    for _ in range(5):
        actual, states[0] = ours.update(gradient, states[0])
        expected, states[1] = theirs.update(gradient, states[1])
        np.testing.assert_allclose(actual, expected, rtol=2**-7)
    assert states[0].velocity.dtype == jnp.bfloat16
