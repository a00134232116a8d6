"""Worked numbers and errata of the notes on convolution."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.functional import conv2d, max_pool2d
from fjdl.functional.conv.algorithms import conv2d_fft
from fjdl.functional.conv.gradients import conv2d_input_gradient, conv2d_kernel_gradient
from fjdl.functional.conv.unfold import col2im, im2col
from fjdl.geometry import output_size, transposed_size
from fjdl.nn import Conv
from fjdl.nn.conv import SpatiallySeparableConv

X = np.array([[2.0, -3, 4], [1, -1, 2], [-1, 2, 3]], np.float32)[None, :, :, None]
UPSTREAM = np.array([[3.0, -2], [1, -1]], np.float32)[None, :, :, None]


def columns_of_7_by_7(channels):
    return jax.eval_shape(lambda x: im2col(x, window=3), np.ones((7, 7, channels))).shape


def weights(module, channels):
    params = jax.eval_shape(module.init, jax.random.key(0), np.ones((1, 9, 9, channels)))
    return sum(math.prod(p.shape) for p in jax.tree.leaves(params))


def test_w38_e61_the_kernels_gradient_is_the_input_correlated_with_the_upstream_gradient():
    gradient = conv2d_kernel_gradient(X, UPSTREAM, window=2, padding="VALID")
    np.testing.assert_array_equal(gradient[:, :, 0, 0], [[14, -20], [2, -8]])


def test_w38_the_inputs_gradient_is_the_padded_upstream_gradient_with_the_kernel_turned_by_180_degrees():
    kernel = np.array([[1.0, 2], [3, 4]], np.float32)[:, :, None, None]
    gradient = conv2d_input_gradient(UPSTREAM, kernel, size=(3, 3), padding="VALID")
    by_hand = 3 * np.pad(kernel[:, :, 0, 0], ((0, 1), (0, 1))) - 2 * np.pad(kernel[:, :, 0, 0], ((0, 1), (1, 0)))
    by_hand += np.pad(kernel[:, :, 0, 0], ((1, 0), (0, 1))) - np.pad(kernel[:, :, 0, 0], ((1, 0), (1, 0)))
    np.testing.assert_array_equal(gradient[0, :, :, 0], by_hand)


def test_w39_e61_the_slopes_by_each_weight_are_the_columns_of_im2col():
    columns = im2col(X, window=2)[0]
    slopes = [[[2, -3], [1, -1]], [[-3, 4], [-1, 2]], [[1, -1], [-1, 2]], [[-1, 2], [2, 3]]]
    np.testing.assert_array_equal(np.moveaxis(columns, -1, 0), slopes)


def test_w40_e29_a_3_by_3_kernel_on_7_by_7_takes_225_multiplications_and_200_additions():
    rows, across, taps = columns_of_7_by_7(1)
    assert (rows, across, taps) == (5, 5, 9)
    assert (rows * across * taps, rows * across * (taps - 1), taps + taps - 1) == (225, 200, 17)


def test_w41_e30_e60_a_colour_image_is_25_windows_of_27_numbers_times_27_by_n():
    n = 4
    rows, across, taps = columns_of_7_by_7(3)
    assert (rows * across, taps) == (25, 27)
    image, kernel = np.ones((7, 7, 3), np.float32), np.ones((3, 3, 3, n), np.float32)
    matrix = kernel.reshape(-1, n)  # one column of f · f · c weights for each of the n kernels
    assert matrix.shape == (27, n)
    y = im2col(image, window=3).reshape(25, 27) @ matrix
    np.testing.assert_array_equal(conv2d(image, kernel, padding="VALID"), y.reshape(5, 5, n))


def test_e30_col2im_adds_up_what_im2col_has_copied():
    there_and_back = jax.jit(lambda x: col2im(im2col(x, window=3), size=(7, 7), window=3))
    copies = there_and_back(np.ones((7, 7, 1), np.float32))
    np.testing.assert_array_equal(copies[:, :, 0], np.outer([1, 2, 3, 3, 3, 2, 1], [1, 2, 3, 3, 3, 2, 1]))


def test_w42_e70_stacked_3_by_3_kernels_see_3_5_7_pixels_of_the_input():
    field, fields = 1, []
    for _ in range(3):
        field = transposed_size(field, window=3, stride=1, padding=(0, 0))
        fields.append(field)
    assert fields == [3, 5, 7]
    sizes = [7]
    for _ in range(3):
        sizes.append(output_size(sizes[-1], window=3, stride=1, padding=(0, 0)))
    assert sizes == [7, 5, 3, 1]


def test_w43_two_3_by_3_kernels_have_18_weights_for_each_25_of_a_5_by_5_and_a_3_by_1_and_1_by_3_have_6_for_9():
    c = 8
    assert 2 * weights(Conv(c, 3, use_bias=False), c) == 18 * c**2
    assert weights(Conv(c, 5, use_bias=False), c) == 25 * c**2
    assert weights(SpatiallySeparableConv(c, 3, use_bias=False), c) == 6 * c**2
    assert weights(Conv(c, 3, use_bias=False), c) == 9 * c**2


def test_w45_a_7_by_7_image_has_784_windows_of_all_shapes():
    def positions(window):
        return output_size(7, window=window, stride=1, padding=(0, 0))

    total = sum(positions(h) * positions(w) for h in range(1, 8) for w in range(1, 8))
    assert total == (7 * 8 // 2) ** 2 == 784


def test_e57_convolution_is_equivariant_and_pooling_invariant_only_within_its_window(rng):
    image = np.pad(rng.standard_normal((4, 4, 2)), ((3, 5), (3, 5), (0, 0))).astype(np.float32)
    moved = np.roll(image, (2, 1), (0, 1))
    kernel = rng.standard_normal((3, 3, 2, 3)).astype(np.float32)
    run = jax.jit(conv2d)
    y = np.asarray(run(image, kernel))
    np.testing.assert_allclose(run(moved, kernel), np.roll(y, (2, 1), (0, 1)), rtol=1e-5, atol=1e-6)
    assert np.abs(run(moved, kernel) - y).max() > 0.1
    dot = np.zeros((4, 4, 1), np.float32)
    dot[0, 0] = 1
    pooled = [max_pool2d(np.roll(dot, shift, 0), window=2) for shift in range(3)]
    np.testing.assert_array_equal(pooled[0], pooled[1])
    assert not np.array_equal(pooled[1], pooled[2])


def test_e58_the_layer_is_cross_correlation_and_the_theorem_needs_the_kernel_turned(rng):
    image, kernel = rng.standard_normal((6, 6)), rng.standard_normal((3, 3))
    layer, theorem = (
        conv2d_fft(jnp.asarray(image, jnp.float32)[..., None], jnp.asarray(k, jnp.float32)[..., None, None], padding=2)
        for k in (kernel, kernel[::-1, ::-1])
    )
    spectra = np.fft.rfft2(image, (8, 8)) * np.fft.rfft2(kernel, (8, 8))
    literal = np.fft.irfft2(spectra, (8, 8))
    np.testing.assert_allclose(theorem[..., 0], literal, atol=1e-5)
    assert np.abs(np.asarray(layer[..., 0]) - literal).max() > 0.1


def test_e59_sizes_are_rounded_down_and_have_one_more():
    x = np.ones((7, 8, 1), np.float32)
    assert jax.eval_shape(lambda x: max_pool2d(x, window=3, stride=2), x).shape == (3, 3, 1)  # (8 - 3) / 2 + 1 = 3.5
    kernel = np.ones((3, 3, 1, 2), np.float32)
    y = jax.eval_shape(lambda x: conv2d(x, kernel, stride=2, padding=1), x)
    assert y.shape == ((7 + 2 - 3) // 2 + 1, (8 + 2 - 3) // 2 + 1, 2) == (4, 4, 2)
