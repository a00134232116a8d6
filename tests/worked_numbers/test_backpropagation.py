"""Derivatives that the notes work out by hand, against those of the library's own losses and layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import functional, losses
from fjdl.autodiff import rules, tape
from fjdl.autodiff.tape import record
from fjdl.classical import Linear
from fjdl.classical.logistic import binary_loss
from tests.support import float64


@pytest.mark.parametrize("target", [0.0, 1.0, 0.3])
def test_w52_slope_of_the_binary_cross_entropy(target: float) -> None:
    with float64():
        p, y = jnp.asarray(0.37), jnp.asarray(target)
        slope = jax.grad(losses.binary_cross_entropy)(p, y)
        np.testing.assert_allclose(slope, (p - y) / (p * (1 - p)), rtol=1e-14)


def test_w52_logistic_regression(rng: np.random.Generator) -> None:
    with float64():
        x, y = rng.standard_normal((8, 3)), rng.integers(0, 2, (8, 1)).astype(float)
        params = Linear(jnp.asarray(rng.standard_normal((3, 1))), jnp.asarray([0.2]))
        found = jax.grad(lambda params: losses.mean(binary_loss(params, x, y)))(params)
        error = 1 / (1 + np.exp(-(x @ np.asarray(params.weights) + 0.2))) - y
        np.testing.assert_allclose(found.weights, x.T @ error / 8, rtol=1e-13)
        np.testing.assert_allclose(found.bias, error.mean(axis=0), rtol=1e-13)


def test_w52_softmax_vjp(rng: np.random.Generator) -> None:
    with float64():
        z, upstream = jnp.asarray(rng.standard_normal(5)), jnp.asarray(rng.standard_normal(5))
        (found,) = tape.vjp(lambda z: record(rules.softmax, z), z)[1](upstream)
        np.testing.assert_allclose(found, jax.vjp(jax.nn.softmax, z)[1](upstream)[0], rtol=1e-14, atol=1e-16)


def test_w52_cross_entropy_of_softmax_has_the_gradient_prediction_minus_target(rng: np.random.Generator) -> None:
    with float64():
        z, target = rng.standard_normal(5), np.eye(5)[2]
        prediction = np.exp(z) / np.exp(z).sum()
        for found in (
            jax.grad(lambda z: losses.categorical_cross_entropy(functional.softmax(z), target))(z),
            jax.grad(losses.soft_cross_entropy)(z, target),
            jax.grad(losses.softmax_cross_entropy)(z, np.asarray(2)),
        ):
            np.testing.assert_allclose(found, prediction - target, rtol=1e-12, atol=1e-15)


def test_e46_the_first_weight_meets_the_first_input() -> None:
    x, kernel = np.array([[2.0, 7.0]], np.float32), np.array([[0.1], [0.2]], np.float32)
    found = jax.grad(lambda kernel: jnp.sum(functional.tanh(functional.linear(x, kernel))))(kernel)
    of_z = 1 - np.tanh(1.6) ** 2  # 0.1 · 2 + 0.2 · 7 = 1.6
    np.testing.assert_allclose(found[0, 0], of_z * 2, rtol=1e-5)  # and not times a later layer's input, tanh 1.6
    np.testing.assert_allclose(found[1, 0], of_z * 7, rtol=1e-5)


def test_e47_mean_cost_divides_the_slope_by_the_batch() -> None:
    p, y = np.array([0.2, 0.7], np.float32), np.array([1.0, 0.0], np.float32)
    found = jax.grad(lambda p: losses.mean(losses.binary_cross_entropy(p, y)))(p)
    np.testing.assert_allclose(found, [-2.5, 0.5 / 0.3], rtol=1e-6)  # the printed -y / (1 - y) / 2 is infinite at y = 1


def test_e48_jacobians_are_outputs_by_inputs() -> None:
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    jacobian = jax.jacobian(functional.linear)(np.ones(2, np.float32), kernel)
    np.testing.assert_array_equal(jacobian, kernel.T)  # [3 outputs, 2 inputs]
    upstream = np.array([1.0, -1.0, 2.0], np.float32)
    (pulled,) = jax.vjp(lambda x: functional.linear(x, kernel), np.ones(2, np.float32))[1](upstream)
    np.testing.assert_array_equal(pulled, [3.0, 9.0])  # 0 - 1 + 2 · 2 and 3 - 4 + 2 · 5


def test_e50_weights_of_one_unit_share_the_sign_of_its_upstream_gradient() -> None:
    inputs = functional.sigmoid(np.array([-0.8, 2.2, -2.0], np.float32))  # all positive
    for upstream in (2.0, -2.0):
        found = jax.grad(lambda w, u=upstream: u * jnp.sum(functional.linear(inputs, w)))(np.zeros((3, 1), np.float32))
        np.testing.assert_allclose(found[:, 0], upstream / (1 + np.exp([0.8, -2.2, 2.0])), rtol=1e-6)
