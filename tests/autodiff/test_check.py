import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.autodiff import check_grads, check_grads_along, relative_error
from tests.support import float64


def network(params: dict[str, jax.Array]) -> jax.Array:
    return jnp.mean(jnp.tanh(jnp.ones((4, 3)) @ params["kernel"] + params["bias"][None]) ** 2)


@jax.custom_vjp
def wrong_sine(x: jax.Array) -> jax.Array:
    return jnp.sin(x)


wrong_sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x) * 1.01,))


def params() -> dict[str, jax.Array]:
    return {"kernel": jnp.arange(6.0).reshape(3, 2) / 10, "bias": jnp.asarray([0.1, -0.2])}


def test_a_right_gradient_passes() -> None:
    with float64():
        found = check_grads(network, params())
        assert found.automatic.shape == (8,)
        assert float(found.relative_error) < 1e-9
        assert float(check_grads_along(jax.random.key(0), network, params()).relative_error) < 1e-9


def test_a_gradient_that_is_one_percent_off_is_seen() -> None:
    with float64():
        x = jnp.asarray([0.3, 0.9])
        for found in (
            check_grads(lambda x: jnp.sum(wrong_sine(x)), x),
            check_grads_along(jax.random.key(1), lambda x: jnp.sum(wrong_sine(x)), x),
        ):
            np.testing.assert_allclose(found.relative_error, 0.01 / 2.01, rtol=1e-3)


def test_relative_error_by_hand() -> None:
    assert float(relative_error(jnp.asarray([3.0, 4.0]), jnp.asarray([3.0, 4.0]))) == 0.0
    assert float(relative_error(jnp.asarray([3.0, 4.0]), jnp.asarray([-3.0, -4.0]))) == 1.0
    assert float(relative_error(jnp.zeros(2), jnp.zeros(2))) == 0.0
    np.testing.assert_allclose(relative_error(jnp.asarray([1e30]), jnp.asarray([3e30])), 0.5, rtol=1e-6)


def test_directions_must_be_positive() -> None:
    with pytest.raises(ValueError, match="directions must be at least 1, got 0"):
        check_grads_along(jax.random.key(0), network, params(), directions=0)
