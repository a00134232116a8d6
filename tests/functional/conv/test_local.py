import jax
import jax.numpy as jnp
import numpy as np

from fjdl.functional import conv2d
from fjdl.functional.conv.local import locally_connected2d
from tests.support import float64


def test_with_one_kernel_everywhere_it_is_a_convolution(rng):
    x, kernel, bias = (rng.standard_normal(shape) for shape in ((2, 5, 6, 2), (3, 2, 2, 4), (4,)))
    options = {"stride": (1, 2), "padding": 1, "dilation": (2, 1)}

    @jax.jit
    def both(x, kernel, bias):
        y = conv2d(x, kernel, bias, **options)
        kernels = jnp.broadcast_to(kernel[None, None], (*y.shape[1:3], *kernel.shape))
        return locally_connected2d(x, kernels, jnp.broadcast_to(bias[None, None], y.shape[1:]), **options), y

    with float64():
        local, shared = both(x, kernel, bias)
    np.testing.assert_allclose(local, shared, rtol=1e-10, atol=1e-12)


def test_each_position_has_a_kernel_of_its_own():
    x = np.array([[[1.0], [10.0], [100.0]]], np.float32)
    kernel = np.array([2.0, 3.0, 4.0], np.float32).reshape(1, 3, 1, 1, 1, 1)
    np.testing.assert_array_equal(jax.jit(locally_connected2d)(x, kernel)[0, :, 0], [2, 30, 400])


def test_any_number_of_batch_axes_and_bfloat16_with_float32_parameters():
    kernel, bias = np.ones((2, 2, 2, 2, 1, 3), np.float32), np.ones((2, 2, 3), np.float32)
    for batch in ((), (0,), (2, 1)):
        with jax.numpy_dtype_promotion("strict"):
            y = jax.eval_shape(locally_connected2d, jnp.ones((*batch, 3, 3, 1), jnp.bfloat16), kernel, bias)
        assert (y.shape, y.dtype) == ((*batch, 2, 2, 3), jnp.bfloat16)
