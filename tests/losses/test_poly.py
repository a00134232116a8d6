import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import losses
from tests.support import float64


@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 2.0])
def test_poly_loss_equals_optax_in_value_and_gradient(rng, epsilon):
    x, labels = 3 * rng.standard_normal((4, 3)), rng.integers(0, 3, 4)
    with float64():
        ours = lambda x: jnp.sum(losses.poly_loss(x, labels, epsilon=epsilon))  # noqa: E731
        value, gradient = jax.jit(jax.value_and_grad(ours))(x)
        of_optax = lambda x: jnp.sum(optax.losses.poly_loss_cross_entropy(x, np.eye(3)[labels], epsilon=epsilon))  # noqa: E731
        expected, slope = jax.jit(jax.value_and_grad(of_optax))(x)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-11, atol=1e-13)


def test_the_default_is_that_of_optax_and_0_is_cross_entropy(rng):
    x, labels = rng.standard_normal((4, 3)).astype(np.float32), rng.integers(0, 3, 4)
    expected = optax.losses.poly_loss_cross_entropy(x, jnp.eye(3)[labels])
    np.testing.assert_allclose(losses.poly_loss(x, labels), expected, rtol=1e-5)
    cross_entropy = losses.softmax_cross_entropy(x, labels)
    np.testing.assert_array_equal(losses.poly_loss(x, labels, epsilon=0.0), cross_entropy)


def test_a_certain_mistake_costs_its_logit_and_epsilon_and_its_gradient_stays_that_of_cross_entropy():
    x = np.float32([[0, 1e4], [0, 200]])
    value, gradient = jax.value_and_grad(lambda x: jnp.sum(losses.poly_loss(x, np.array([0, 0]))))(x)
    assert value == 1e4 + 200 + 4
    np.testing.assert_array_equal(gradient, [[-1, 1], [-1, 1]])


def test_an_epsilon_below_minus_1_is_refused():
    with pytest.raises(ValueError, match=r"^epsilon must lie in \[-1, inf\), got -1.5$"):
        losses.poly_loss(np.zeros((1, 2), np.float32), np.zeros(1, int), epsilon=-1.5)


def test_a_label_out_of_range_is_nan_alone_in_batches_of_two_axes(rng):
    logits = rng.standard_normal((2, 5, 3)).astype(np.float32)
    labels = np.array([[0, 1, 2, 3, 4], [-1, 0, 1, 2, 5]])
    value = losses.poly_loss(logits, labels)
    np.testing.assert_array_equal(np.isnan(value), (labels < 0) | (labels > 2))
