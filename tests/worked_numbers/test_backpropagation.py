"""Derivatives that the notes work out by hand, against automatic ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.autodiff import rules, tape
from fjdl.autodiff.tape import record
from tests.support import float64


def binary_cross_entropy(prediction: jax.Array, target: jax.Array) -> jax.Array:
    return -(target * jnp.log(prediction) + (1 - target) * jnp.log(1 - prediction))


@pytest.mark.parametrize("target", [0.0, 1.0, 0.3])
def test_w52_slope_of_the_binary_cross_entropy(target: float) -> None:
    with float64():
        p = jnp.asarray(0.37)
        np.testing.assert_allclose(jax.grad(binary_cross_entropy)(p, target), (p - target) / (p * (1 - p)), rtol=1e-14)


def test_w52_logistic_regression(rng: np.random.Generator) -> None:
    with float64():
        x, y = jnp.asarray(rng.standard_normal((8, 3))), jnp.asarray(rng.integers(0, 2, 8).astype(float))
        weights, bias = jnp.asarray(rng.standard_normal(3)), jnp.asarray(0.2)

        def cost(weights: jax.Array, bias: jax.Array) -> jax.Array:
            return jnp.mean(binary_cross_entropy(jax.nn.sigmoid(x @ weights + bias), y))

        error = jax.nn.sigmoid(x @ weights + bias) - y
        found = jax.grad(cost, argnums=(0, 1))(weights, bias)
        np.testing.assert_allclose(found[0], x.T @ error / 8, rtol=1e-13)
        np.testing.assert_allclose(found[1], jnp.mean(error), rtol=1e-13)


def test_w52_softmax_vjp(rng: np.random.Generator) -> None:
    with float64():
        z, upstream = jnp.asarray(rng.standard_normal(5)), jnp.asarray(rng.standard_normal(5))
        (found,) = tape.vjp(lambda z: record(rules.softmax, z), z)[1](upstream)
        np.testing.assert_allclose(found, jax.vjp(jax.nn.softmax, z)[1](upstream)[0], rtol=1e-14, atol=1e-16)


def test_w52_cross_entropy_of_softmax_has_the_gradient_prediction_minus_target(rng: np.random.Generator) -> None:
    with float64():
        z, target = jnp.asarray(rng.standard_normal(5)), jnp.eye(5)[2]
        found = jax.grad(lambda z: -jnp.sum(target * jnp.log(jax.nn.softmax(z))))(z)
        np.testing.assert_allclose(found, jax.nn.softmax(z) - target, rtol=1e-13, atol=1e-16)


def test_e46_the_first_weight_meets_the_first_input() -> None:
    x, w = jnp.asarray([2.0, 7.0]), jnp.asarray([0.1, 0.2])
    found = jax.grad(lambda w: jnp.tanh(x @ w))(w)
    np.testing.assert_allclose(found, (1 - jnp.tanh(x @ w) ** 2) * x, rtol=1e-6)


def test_e47_mean_cost_divides_the_slope_by_the_batch() -> None:
    p, y = jnp.asarray([0.2, 0.7]), jnp.asarray([1.0, 0.0])
    found = jax.grad(lambda p: jnp.mean(binary_cross_entropy(p, y)))(p)
    np.testing.assert_allclose(found, (p - y) / (p * (1 - p)) / 2, rtol=1e-6)


def test_e48_jacobians_are_outputs_by_inputs() -> None:
    kernel = jnp.arange(6.0).reshape(2, 3)
    jacobian = jax.jacobian(lambda x: x @ kernel)(jnp.ones(2))
    assert jacobian.shape == (3, 2)
    upstream = jnp.asarray([1.0, -1.0, 2.0])
    np.testing.assert_allclose(jax.vjp(lambda x: x @ kernel, jnp.ones(2))[1](upstream)[0], jacobian.T @ upstream)


def test_e50_weights_of_one_unit_share_the_sign_of_its_upstream_gradient() -> None:
    inputs = jnp.asarray([0.3, 0.9, 0.1])  # all positive, as after a sigmoid
    for upstream in (2.0, -2.0):
        found = jax.grad(lambda w, u=upstream: u * (inputs @ w))(jnp.zeros(3))
        assert set(np.sign(np.asarray(found))) == {np.sign(upstream)}
