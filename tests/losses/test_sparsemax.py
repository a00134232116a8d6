import jax
import jax.numpy as jnp
import numpy as np
import optax

from fjdl import losses
from fjdl.functional import sparsemax
from tests.support import float64


def test_sparsemax_loss_equals_optax_in_value_and_gradient_on_logits_of_every_size(rng):
    x, labels = rng.standard_normal((6, 5)) * [[0.01], [0.3], [1], [3], [30], [1e3]], rng.integers(0, 5, 6)

    def total(loss):
        return jax.jit(jax.value_and_grad(lambda x: jnp.sum(loss(x, labels) * jnp.arange(1.0, 7))))

    with float64():
        value, gradient = total(losses.sparsemax_loss)(x)
        expected, slope = total(optax.losses.multiclass_sparsemax_loss)(x)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-11, atol=1e-12)


def test_of_two_logits_it_is_the_binary_loss_of_their_difference():
    x = np.float32([-3, -1, -0.5, 0, 0.2, 1, 4])
    pairs = np.stack([0 * x, x], -1)
    for label in (0, 1):
        labels = np.full(7, label)
        expected = optax.losses.sparsemax_loss(x, labels)
        np.testing.assert_allclose(losses.sparsemax_loss(pairs, labels), expected, rtol=1e-6)


def test_the_gradient_is_sparsemax_less_the_label_and_0_beyond_the_margin():
    x = np.float32([[2, 0.5, 1.5], [0.3, 0.1, -2], [3e4, 0, 1]])
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(losses.sparsemax_loss(x, np.array([0, 1, 0])))))(x)
    np.testing.assert_allclose(gradient, [[-0.25, 0, 0.25], [0.6, -0.6, 0], [0, 0, 0]], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(gradient + np.eye(3)[[0, 1, 0]], sparsemax(x), rtol=1e-6, atol=1e-7)


def test_the_loss_is_never_negative_next_to_its_zero():
    gap = np.float32(1) - np.float32(2.0) ** -np.arange(1, 24, dtype=np.float32)
    x = np.stack([0 * gap, -gap], -1) + np.float32(100)
    values = losses.sparsemax_loss(x, np.zeros(23, int))
    expected = np.square((1 - np.float64(x[:, 0]) + x[:, 1]) / 2)
    assert (values >= 0).all()
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-14)
