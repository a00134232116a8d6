"""Dense layers as convolutions, so that a classifier of crops slides over whole images in one pass."""

import math

import jax.numpy as jnp

from fjdl.typing import Array, Float, typed


@typed
def dense_to_conv(kernel: Float[Array, "d_in d_out"], *, size: tuple[int, int]) -> Float[Array, "h w c d_out"]:
    """The kernel `[h, w, c, d_out]` of the convolution that a dense layer on flattened images of `size` is.

    On one such image, with padding "VALID", `conv2d` gives what `linear` gives of `flatten`. On a larger one it gives
    the layer's answer for every crop of `size`, with all that the crops share computed once. Sermanet et al. 2013,
    arXiv:1312.6229. Raises `ValueError` unless `d_in` is a multiple of `h w`.
    """
    h, w = size
    if min(size) < 1 or kernel.shape[0] % (h * w):
        raise ValueError(f"the kernel's rows must be a multiple of the pixels of size {size}, got {kernel.shape[0]}")
    return jnp.asarray(kernel).reshape(h, w, kernel.shape[0] // (h * w), kernel.shape[1])


@typed
def conv_to_dense(kernel: Float[Array, "h w c d_out"]) -> Float[Array, "d_in d_out"]:
    """The kernel `[h w c, d_out]` of the dense layer that a convolution is on images as large as its window.

    The inverse of `dense_to_conv`; the rows are in the order of `flatten`.
    """
    return jnp.asarray(kernel).reshape(math.prod(kernel.shape[:3]), kernel.shape[3])
