import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import conv2d
from fjdl.functional.conv.separable import (
    depthwise_conv2d,
    pointwise_conv2d,
    separable_conv2d,
    spatially_separable_conv2d,
)
from tests.support import float64

OPTIONS = [{}, {"stride": 2, "padding": "SAME"}, {"padding": ((2, 0), (1, 1)), "dilation": 2}]


def agree(ours, full, *arrays):
    with float64():
        for actual, expected in zip(*jax.jit(lambda *a: (ours(*a), full(*a)))(*arrays), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_depthwise_then_pointwise_is_one_convolution_of_fewer_weights(options, rng):
    def full(x, depthwise, pointwise):
        kernel = jnp.einsum("hwcm,cmo->hwco", depthwise.reshape(3, 2, 3, 2), pointwise.reshape(3, 2, 5))
        return conv2d(x, kernel, **options)

    arrays = rng.standard_normal((2, 7, 6, 3)), rng.standard_normal((3, 2, 1, 6)), rng.standard_normal((1, 1, 6, 5))
    agree(lambda *a: separable_conv2d(*a, **options), full, *arrays)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_column_then_row_is_the_convolution_with_their_outer_product(options, rng):
    def full(x, column, row, bias):
        return conv2d(x, column * row, bias, **options)

    arrays = (rng.standard_normal(shape) for shape in ((2, 7, 6, 1), (3, 1, 1, 1), (1, 2, 1, 1), (1,)))
    agree(lambda *a: spatially_separable_conv2d(*a, **options), full, *arrays)


def test_channels_see_no_other_and_each_has_its_kernels_side_by_side():
    x = np.array([[[1.0, 10.0]]], np.float32)
    kernel = np.array([1.0, 2.0, 3.0, 4.0], np.float32).reshape(1, 1, 1, 4)
    np.testing.assert_array_equal(jax.jit(depthwise_conv2d)(x, kernel), [[[1, 2, 30, 40]]])


def test_a_pointwise_convolution_is_conv2d_of_one_pixel(rng):
    arrays = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((1, 1, 5, 3)), rng.standard_normal(3)
    agree(pointwise_conv2d, conv2d, *arrays)


def test_a_kernel_whose_outputs_are_no_multiple_of_the_channels_is_refused():
    with pytest.raises(ValueError, match="groups must divide the channels"):
        depthwise_conv2d(jnp.ones((3, 3, 2)), jnp.ones((2, 2, 1, 3)))
    with pytest.raises(ValueError, match=r"pointwise_conv2d: argument `kernel` must be"):
        pointwise_conv2d(jnp.ones((3, 3, 2)), jnp.ones((2, 2, 2, 3)))
