"""Three steps of every optimizer of the notes on f(w) = w² from 1, and what the notes' misprints would give."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.optim.adadelta import adadelta
from fjdl.optim.adagrad import adagrad
from fjdl.optim.adam import adam, adamw, scale_by_adam
from fjdl.optim.adamax import adamax
from fjdl.optim.nadam import nadam
from fjdl.optim.rmsprop import rmsprop, scale_by_rms
from fjdl.optim.sgd import heavy_ball, look_ahead, momentum, nesterov, sgd
from tests.support import float64

TABLE = {
    "gradient descent": (sgd(0.1), (0.8, 0.64, 0.512)),
    "momentum": (momentum(0.1, momentum=0.9), (0.8, 0.46, 0.062)),
    "momentum, rate inside": (heavy_ball(0.1, momentum=0.9), (0.8, 0.46, 0.062)),
    "Nesterov, point ahead": (nesterov(0.1, momentum=0.9), (0.62, 0.2224, -0.108352)),
    "Adagrad": (adagrad(0.1, eps=1e-8), (0.9, 0.83310353, 0.78045618)),
    "RMSProp": (rmsprop(0.1, decay=0.9, eps=1e-8), (0.68377224, 0.49887061, 0.36918056)),
    "Adam": (adam(0.1), (0.9, 0.80041223, 0.70158627)),
    "AdamW": (adamw(0.1, weight_decay=0.01), (0.899, 0.79851903, 0.69891118)),
    "AdaMax": (adamax(0.1), (0.9, 0.80516833, 0.71549947)),
    "Nadam": (nadam(0.1), (0.85263158, 0.74169716, 0.64061128)),
    "Adadelta": (adadelta(1.0, decay=0.9, eps=1e-6), (0.99683773, 0.99359817, 0.99030905)),
}


def three_steps(optimizer: optax.GradientTransformation) -> list[float]:
    with float64():
        w, path = jnp.asarray(1.0), []
        state = optimizer.init(w)
        for _ in range(3):
            updates, state = optimizer.update(2 * w, state, w)
            w = optax.apply_updates(w, updates)
            path.append(float(w))
    return path


@pytest.mark.parametrize(("optimizer", "expected"), TABLE.values(), ids=TABLE.keys())
def test_three_steps_on_the_parabola(optimizer: optax.GradientTransformation, expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(three_steps(optimizer), expected, rtol=0, atol=1e-8)


def test_three_steps_of_nesterov_as_the_notes_hold_it() -> None:
    with float64():
        optimizer = momentum(0.1, momentum=0.9)
        w, path = jnp.asarray(1.0), []
        state = optimizer.init(w)
        for _ in range(3):
            point = look_ahead(w, state[0].velocity, learning_rate=0.1, momentum=0.9)
            updates, state = optimizer.update(2 * point, state)
            w = optax.apply_updates(w, updates)
            path.append(float(w))
    np.testing.assert_allclose(path, [0.8, 0.496, 0.17792], atol=1e-12)


def test_three_steps_of_adagrad_from_a_total_of_a_tenth() -> None:
    path = three_steps(adagrad(0.1, initial=0.1))
    np.testing.assert_allclose(path[0], 0.9012270, atol=1e-7)
    np.testing.assert_allclose(path, three_steps(optax.adagrad(0.1)), atol=1e-8)


def test_e06_momentum_follows_the_gradient_and_not_the_gradient_of_a_gradient() -> None:
    w, velocity, printed = 1.0, 0.0, []
    for _ in range(3):
        velocity = 0.9 * velocity - 0.1 * 2  # the gradient of 2 w
        w += velocity
        printed.append(w)
    np.testing.assert_allclose(printed, [0.8, 0.42, -0.122], atol=1e-12)
    for ours in (heavy_ball(0.1, momentum=0.9), momentum(0.1, momentum=0.9)):
        np.testing.assert_allclose(three_steps(ours), [0.8, 0.46, 0.062], atol=1e-12)


def misprinted_adam(*, mean_of_squares: bool) -> list[float]:
    """Without bias correction, and where `mean_of_squares` with m = 0.9 v + 0.1 g instead of 0.9 m + 0.1 g."""
    w, mean, square, path = 1.0, 0.0, 0.0, []
    for _ in range(3):
        gradient = 2 * w
        mean = 0.9 * (square if mean_of_squares else mean) + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        w -= 0.1 * mean / (np.sqrt(square) + 1e-8)
        path.append(w)
    return path


def test_e42_adam_averages_the_gradient_and_corrects_both_moments() -> None:
    literal, uncorrected = misprinted_adam(mean_of_squares=True), misprinted_adam(mean_of_squares=False)
    np.testing.assert_allclose(literal, [0.68377228, 0.50052037, 0.37330626], atol=1e-8)
    np.testing.assert_allclose(uncorrected, [0.68377228, 0.27020607, -0.16214134], atol=1e-8)
    ours = three_steps(adam(0.1))
    assert min(np.max(np.abs(np.subtract(ours, wrong))) for wrong in (literal, uncorrected)) > 0.2


def test_e79_uncorrected_momentum_is_too_small_and_only_uncorrected_squares_lengthen_steps() -> None:
    transformation, gradient = scale_by_adam(), jnp.asarray([5.0, -0.3])
    update, state = transformation.update(gradient, transformation.init(gradient))
    np.testing.assert_allclose(state.mean, 0.1 * gradient, rtol=1e-6)
    np.testing.assert_allclose(update, [1.0, -1.0], rtol=1e-6)
    uncorrected = state.mean / jnp.sqrt(state.square)
    np.testing.assert_allclose(uncorrected / update, 0.1 / np.sqrt(0.001), rtol=1e-5)
    np.testing.assert_allclose(uncorrected / update, 3.162, atol=1e-3)


@pytest.mark.parametrize("optimizer", [adagrad(0.1), rmsprop(0.1), adam(0.1)], ids=["Adagrad", "RMSProp", "Adam"])
def test_e80_a_gradient_of_zero_is_no_zero_over_zero(optimizer: optax.GradientTransformation) -> None:
    zero = jnp.zeros(2)
    np.testing.assert_array_equal(optimizer.update(zero, optimizer.init(zero))[0], 0)


def test_e80_eps_stands_outside_of_the_root() -> None:
    transformation, gradient = scale_by_rms(decay=0.0, eps=1.0), jnp.asarray([3.0])
    np.testing.assert_allclose(transformation.update(gradient, transformation.init(gradient))[0], 3 / (3 + 1))
