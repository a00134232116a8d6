"""Linear operations with code of their own for the transpose: derivatives, mapped axes and what is kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.lowering.linear import linear
from tests.support import float64

DOUBLED = linear(
    "test_masked_double",
    forward=lambda x, held, *, factor: factor * jnp.where(held > 0, x, 0),
    backward=lambda y, held, *, factor: factor * jnp.where(held > 0, y, 0),
)


def plain(x, held, *, factor):
    return factor * jnp.where(held > 0, x, 0)


def energy(operation):
    return lambda x: jnp.sum(jnp.sin(operation(jnp.exp(x), x, factor=2.0)))


@pytest.mark.parametrize(
    "order",
    [jax.grad, jax.jacfwd, jax.hessian, lambda f: jax.jacrev(jax.grad(f)), lambda f: jax.jacfwd(jax.jacfwd(f))],
    ids=["reverse", "forward", "forward over reverse", "reverse over reverse", "forward over forward"],
)
def test_derivatives_of_every_mode_equal_those_of_the_plain_function(order, rng):
    with float64():
        x = rng.standard_normal(5)
        np.testing.assert_allclose(jax.jit(order(energy(DOUBLED)))(x), jax.jit(order(energy(plain)))(x), rtol=1e-12)


@pytest.mark.parametrize("axes", [(0, None), (None, 1), (1, 0)], ids=str)
def test_vmap_equals_that_of_the_plain_function(axes, rng):
    x, held = (
        rng.standard_normal((3, 4) if axis is None else np.insert((3, 4), axis, 5)).astype(np.float32) for axis in axes
    )
    actual, expected = (
        jax.vmap(jax.grad(lambda x, held, f=f: jnp.sum(f(x, held, factor=3.0) ** 2)), axes)(x, held)
        for f in (DOUBLED, plain)
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_the_transpose_is_transposed_to_the_operation_and_zero_goes_to_zero(rng):
    x, held = jnp.asarray(rng.standard_normal((2, 4)), jnp.float32)
    twice = jax.linear_transpose(lambda y: jax.linear_transpose(lambda x: DOUBLED(x, held, factor=2.0), x)(y)[0], x)
    np.testing.assert_array_equal(twice(x)[0], plain(x, held, factor=2.0))
    unused = jax.grad(lambda x: jnp.sum(x) + 0 * jax.lax.stop_gradient(jnp.sum(DOUBLED(x, held, factor=2.0))))(x)
    np.testing.assert_array_equal(unused, np.ones(4))
