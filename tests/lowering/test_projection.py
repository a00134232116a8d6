"""Products with float32 matrices against NumPy, and the dtypes in which their gradients leave."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.lowering.projection import cross, project

projected, crossed = (jax.jit(partial(f, dtype=jnp.dtype(jnp.float32))) for f in (project, cross))
half = jnp.dtype(jnp.bfloat16)


@pytest.mark.parametrize("batch", [(6,), (2, 3), (2, 3, 4)], ids=str)
def test_both_equal_numpy_and_are_derivatives_of_each_other(batch: tuple[int, ...], rng: np.random.Generator) -> None:
    x, y = (rng.standard_normal((*batch, n)).astype(np.float32) for n in (3, 5))
    matrix = rng.standard_normal((3, 5)).astype(np.float32)
    products = x.reshape(-1, 3).T @ y.reshape(-1, 5)
    np.testing.assert_allclose(projected(x, matrix), x @ matrix, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(crossed(x, y), products, rtol=1e-5, atol=1e-5)
    to_x, to_matrix = jax.jit(lambda x, m, y: jax.vjp(projected, x, m)[1](y))(x, matrix, y)
    np.testing.assert_allclose(to_x, y @ matrix.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(to_matrix, products, rtol=1e-5, atol=1e-5)
    to_x, to_y = jax.jit(lambda x, y, m: jax.vjp(crossed, x, y)[1](m))(x, y, matrix)
    np.testing.assert_allclose(to_x, y @ matrix.T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(to_y, x @ matrix, rtol=1e-5, atol=1e-5)


def test_products_of_halves_are_rounded_before_and_not_after() -> None:
    """257 ones and 1 + 2⁻¹⁰ have no place in bfloat16."""
    x = jnp.full((257, 1), 1 + 2.0**-10)
    assert cross(x, x, dtype=half)[0, 0] == 257
    gradient = jax.grad(lambda m: jnp.sum(project(x, m, dtype=half)))(jnp.ones((1, 1)))
    assert gradient.dtype == jnp.float32
    assert gradient[0, 0] == 257
    assert project(x.T, x, dtype=half)[0, 0] == 257
    assert jax.grad(lambda x: jnp.sum(project(x, jnp.full((1, 3), 1.0), dtype=half)))(x)[0, 0] == 3
