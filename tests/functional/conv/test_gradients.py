import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import conv2d
from fjdl.functional.conv.gradients import conv2d_input_gradient, conv2d_kernel_gradient
from tests.support import float64

# The margins are negative where the padding is wider than the kernel, and where a stride leaves pixels unseen.
GEOMETRIES = [
    ((5, 6), (3, 2), 3, 4, {"padding": "VALID"}),
    ((7, 6), (2, 2), 2, 3, {"stride": (3, 2), "padding": "SAME"}),
    ((8, 5), (3, 1), 4, 6, {"stride": (4, 3), "padding": ((4, 0), (1, 3)), "dilation": (2, 1), "groups": 2}),
    ((5, 5), (1, 1), 3, 3, {"stride": 2, "padding": 1, "groups": 3}),
]


@pytest.mark.parametrize(("size", "window", "c_in", "c_out", "options"), GEOMETRIES, ids=str)
def test_both_gradients_equal_those_of_xlas_convolution(size, window, c_in, c_out, options, rng):
    x = rng.standard_normal((2, *size, c_in))
    kernel = rng.standard_normal((*window, c_in // options.get("groups", 1), c_out))

    @jax.jit
    def both(x, kernel):
        y, pullback = jax.vjp(lambda x, kernel: conv2d(x, kernel, **options), x, kernel)
        cotangent = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
        ours = (
            conv2d_input_gradient(cotangent, kernel, size=size, **options),
            conv2d_kernel_gradient(x, cotangent, window=window, **options),
        )
        return ours, pullback(cotangent)

    with float64():
        ours, expected = both(x, kernel)
    for actual, exact in zip(ours, expected, strict=True):
        np.testing.assert_allclose(actual, exact, rtol=1e-11, atol=1e-11)


def test_an_empty_batch_moves_no_kernel():
    x, y = jnp.ones((0, 4, 4, 2)), jnp.ones((0, 4, 4, 3))
    np.testing.assert_array_equal(conv2d_kernel_gradient(x, y, window=3), np.zeros((3, 3, 2, 3)))
    assert conv2d_input_gradient(y, jnp.ones((3, 3, 2, 3)), size=(4, 4)).shape == x.shape


def test_the_gradients_have_derivatives_themselves():
    def squared(y):
        return jnp.sum(conv2d_input_gradient(y, jnp.ones((2, 2, 1, 1)), size=(3, 3), padding="VALID") ** 2)

    hessian = jax.jit(jax.hessian(squared))(jnp.zeros((2, 2, 1)))
    # Two cotangents meet in as many pixels as their 2 x 2 windows share.
    expected = [[4, 2, 2, 1], [2, 4, 1, 2], [2, 1, 4, 2], [1, 2, 2, 4]]
    np.testing.assert_array_equal(hessian.reshape(4, 4), 2 * np.array(expected))
