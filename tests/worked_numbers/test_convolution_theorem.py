"""Worked number of the notes on convolution by Fourier transforms."""

import jax.numpy as jnp
import numpy as np

from fjdl.functional import conv2d
from tests.support import float64


def fourier_product(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The linear convolution of the notes' formula, with both zero-padded to the full output."""
    shape = tuple(a + b - 1 for a, b in zip(image.shape, kernel.shape, strict=True))
    return np.fft.irfft2(np.fft.rfft2(image, shape) * np.fft.rfft2(kernel, shape), shape)


def test_w53_the_layer_is_the_fourier_product_with_a_flipped_kernel(rng: np.random.Generator) -> None:
    image, kernel = rng.standard_normal((7, 9)), rng.standard_normal((3, 3))
    with float64():
        layer = conv2d(jnp.asarray(image)[None, :, :, None], jnp.asarray(kernel)[:, :, None, None], padding=2)
    np.testing.assert_allclose(layer[0, :, :, 0], fourier_product(image, kernel[::-1, ::-1]), atol=1e-13)
    assert np.max(np.abs(np.asarray(layer[0, :, :, 0]) - fourier_product(image, kernel))) > 0.1
