import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.autodiff import central_difference, directional_difference, forward_difference
from tests.support import float64


def smooth(x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.sin(x) * jnp.exp(0.3 * x)) + x[0, 0] * x[1, 1]


@pytest.mark.parametrize(
    ("difference", "precision"), [(forward_difference, 1e-7), (central_difference, 1e-9)], ids=["forward", "central"]
)
def test_gradient_equals_jax(difference, precision, rng: np.random.Generator) -> None:
    with float64():
        x = jnp.asarray(rng.standard_normal((2, 3)))
        np.testing.assert_allclose(difference(smooth, x), jax.grad(smooth)(x), rtol=precision, atol=precision)


def test_e104_forward_differences_err_with_h_and_central_ones_with_h_squared() -> None:
    with float64():
        x = jnp.asarray([1.0])
        errors = [
            [abs(float(difference(lambda x: jnp.exp(x[0]), x, step=h)[0]) - np.e) for h in (1e-2, 1e-3)]
            for difference in (forward_difference, central_difference)
        ]
    np.testing.assert_allclose([a / b for a, b in errors], [10, 100], rtol=1e-2)


def test_forward_difference_of_a_parabola_by_hand() -> None:
    np.testing.assert_allclose(forward_difference(lambda x: x[0] ** 2, jnp.asarray([1.0]), step=0.5), [2.5])
    np.testing.assert_allclose(central_difference(lambda x: x[0] ** 2, jnp.asarray([1.0]), step=0.5), [2.0])


def test_directional_difference_is_the_gradient_along_the_direction() -> None:
    with float64():
        x, direction = jnp.arange(6.0).reshape(2, 3) / 5, jnp.ones((2, 3))
        actual = directional_difference(smooth, x, direction)
        np.testing.assert_allclose(actual, jnp.sum(jax.grad(smooth)(x)), rtol=1e-9)


def test_float32_keeps_its_digits() -> None:
    x = jnp.asarray([0.5], jnp.float32)
    np.testing.assert_allclose(central_difference(lambda x: jnp.sin(x[0]), x), [np.cos(0.5)], rtol=1e-4)


@pytest.mark.parametrize("step", [0.0, -1e-3])
def test_a_step_that_is_not_positive_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match=f"step must be positive, got {step}"):
        central_difference(smooth, jnp.ones((2, 3)), step=step)
