import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.optim.centralize import centralize


def centred(gradient: object) -> jax.Array:
    return jax.jit(lambda g: centralize().update(g, optax.EmptyState())[0])(gradient)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (3, 2, 5, 4)])
def test_equals_optax_whose_output_axis_comes_first(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    gradient = rng.standard_normal(shape).astype(np.float32)
    theirs = optax.centralize().update(np.moveaxis(gradient, -1, 0), optax.EmptyState())[0]
    actual = centred(gradient)
    np.testing.assert_allclose(actual, np.moveaxis(np.asarray(theirs), 0, -1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.sum(actual, axis=tuple(range(len(shape) - 1))), 0, atol=1e-5)


@pytest.mark.parametrize("gradient", [np.float32(2.0), np.float32([1, 2, 4]), np.zeros((0, 3), np.float32)])
def test_biases_scalars_and_empty_kernels_pass(gradient: np.ndarray) -> None:
    np.testing.assert_array_equal(centred(gradient), gradient)


def test_the_mean_of_a_bfloat16_kernel_is_taken_in_float32() -> None:
    actual = centred(jnp.full((1000, 1), 0.1, jnp.bfloat16))
    assert actual.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(actual, np.float32), 0, atol=1e-7)
