import jax
import jax.numpy as jnp
import numpy as np

from fjdl.functional.activations import sigmoid, tanh
from fjdl.functional.rectifiers import elu, selu
from tests.support import float64


def test_w46_the_derivative_of_sigmoid_is_largest_at_0_with_a_quarter():
    x = np.linspace(-8, 8, 1601, dtype=np.float32)
    slope = np.asarray(jax.vmap(jax.grad(sigmoid))(x))
    assert slope.max() == 0.25
    assert x[slope.argmax()] == 0.0


def test_w47_tanh_is_a_scaled_sigmoid():
    with float64():
        x = np.linspace(-20, 20, 2001)
        np.testing.assert_allclose(tanh(x), 2 * sigmoid(2 * x) - 1, rtol=0, atol=1e-15)


def test_w49_selu_and_elu_at_minus_1_and_1():
    with float64():
        x = jnp.array([-1.0, 1.0])
        np.testing.assert_allclose(selu(x), [-1.1113307, 1.0507010], atol=5e-8)
        np.testing.assert_allclose(elu(x), [-0.6321206, 1.0], atol=5e-8)
