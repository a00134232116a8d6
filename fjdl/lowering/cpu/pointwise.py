"""Convolution with windows of one pixel: the matrix product of channels at every pixel."""

from fjdl.lowering.bilinear import Rules
from fjdl.lowering.conv_everywhere import Options, spread
from fjdl.lowering.cpu.matrix import product, product_of_columns
from fjdl.typing import Array


def fits(options: Options) -> bool:
    """Whether the window is one pixel, of the image alone."""
    return options.window == (1, 1) and options.padding == ((0, 0), (0, 0))


def convolve(x: Array, kernel: Array, options: Options) -> Array:
    """[n, h, w, c_in] and [1, 1, c_in, c_out] to [n, h_out, w_out, c_out], in float32 or wider."""
    return product(_visited(x, options), kernel[0, 0], (3, 0))


def input_gradient(y: Array, kernel: Array, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output."""
    return spread(product(y, kernel[0, 0], (3, 1)), options)


def kernel_gradient(x: Array, y: Array, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output."""
    pixels = _visited(x, options).reshape(-1, x.shape[3])
    return product_of_columns(pixels, y.reshape(-1, y.shape[3]))[None, None]


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


def _visited(x: Array, options: Options) -> Array:
    """The pixels on which windows lie."""
    return x[:, :: options.stride[0], :: options.stride[1]]
