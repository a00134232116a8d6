import jax
import numpy as np
import pytest

from fjdl.functional import conv2d, filters
from fjdl.functional.conv.separable import depthwise_conv2d

BRIGHT_LEFT = np.repeat([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]], 6, axis=0).astype(np.float32)[:, :, None]
PAIRS = [
    (filters.prewitt_vertical, filters.prewitt_horizontal),
    (filters.sobel_vertical, filters.sobel_horizontal),
    (filters.scharr_vertical, filters.scharr_horizontal),
]

valid = jax.jit(lambda x, kernel: conv2d(x, kernel, padding="VALID")[..., 0])


def test_the_kernels_of_the_notes():
    np.testing.assert_array_equal(filters.prewitt_vertical()[:, :, 0, 0], [[1, 0, -1]] * 3)
    np.testing.assert_array_equal(filters.prewitt_horizontal()[:, :, 0, 0], [[1, 1, 1], [0, 0, 0], [-1, -1, -1]])


@pytest.mark.parametrize(("vertical", "horizontal"), PAIRS)
def test_each_answers_to_the_edges_of_its_name_alone(vertical, horizontal):
    weight = float(vertical()[:, 0].sum())
    bright_above = BRIGHT_LEFT.transpose(1, 0, 2)
    edge = np.array([[0, weight, weight, 0]] * 4)
    np.testing.assert_array_equal(valid(BRIGHT_LEFT, vertical()), edge)
    np.testing.assert_array_equal(valid(bright_above, horizontal()), edge.T)
    np.testing.assert_array_equal(valid(BRIGHT_LEFT, horizontal()), np.zeros((4, 4)))
    np.testing.assert_array_equal(valid(bright_above, vertical()), np.zeros((4, 4)))


def test_the_laplacian_is_negative_on_the_bright_side():
    np.testing.assert_array_equal(valid(BRIGHT_LEFT, filters.laplacian()), [[0, -1, 1, 0]] * 4)


def test_every_channel_is_filtered_alike():
    image = np.concatenate([BRIGHT_LEFT, 2 * BRIGHT_LEFT], axis=-1)
    y = jax.jit(lambda x: depthwise_conv2d(x, filters.sobel_vertical(channels=2), padding="VALID"))(image)
    np.testing.assert_array_equal(y[..., 1], 2 * y[..., 0])
    assert float(y[0, 1, 0]) == 4.0


def test_no_channels_are_refused():
    with pytest.raises(ValueError, match="channels must be at least 1, got 0"):
        filters.laplacian(channels=0)
