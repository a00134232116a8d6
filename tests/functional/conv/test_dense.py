import jax
import numpy as np

from fjdl.functional import conv2d, flatten, linear
from fjdl.functional.conv.dense import conv_to_dense, dense_to_conv


def test_a_sliding_classifier_in_one_pass_answers_for_every_crop(rng):
    image, kernel, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 6, 2), (3 * 4 * 2, 3), (3,)))
    crops = np.stack([image[i : i + 3, j : j + 4] for i in range(3) for j in range(3)])

    @jax.jit
    def both(image, crops, kernel, bias):
        sliding = conv2d(image, dense_to_conv(kernel, size=(3, 4)), bias, padding="VALID")
        return sliding, linear(flatten(crops), kernel, bias)

    sliding, single = both(image, crops, kernel, bias)
    np.testing.assert_allclose(sliding, single.reshape(3, 3, 3), rtol=1e-5, atol=1e-5)


def test_there_and_back_is_the_same_kernel(rng):
    kernel = rng.standard_normal((24, 5)).astype(np.float32)
    np.testing.assert_array_equal(conv_to_dense(dense_to_conv(kernel, size=(2, 3))), kernel)
