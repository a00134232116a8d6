"""Products, convolutions and look-ups of quantized arrays, with scale, bias and activation behind them.

What an argument is says what is computed. A `Quantized` kernel with an `x` of floats is weight-only quantization: the
product is of floats, and the scale comes after it. With a `Quantized` `x`, static (`quantize` on a grid that was found
by `ranges`) or dynamic (`quantize_rows`, `quantize_examples`), it is a product of int8 with sums in int32. `onto` puts
the result on a grid at once, so that bytes go from layer to layer. A recurrent cell calls `linear` in each of its
steps. May import `fjdl.quant` and what `fjdl.quant` may.

>>> from fjdl.quant import absmax_quantize, quantize_rows
>>> from fjdl.quant.products import linear
>>> kernel = absmax_quantize(jnp.array([[1.0, -1.0], [2.0, 0.5]]), axis=-1)
>>> linear(quantize_rows(jnp.array([[1.0, 1.0]])), kernel).round(2)
Array([[ 3.01, -0.5 ]], dtype=float32)
"""

from fjdl.quant.products.convolution import conv2d
from fjdl.quant.products.dense import kernel_sums, linear, matmul
from fjdl.quant.products.table import embedding

__all__ = ["conv2d", "embedding", "kernel_sums", "linear", "matmul"]


def __dir__() -> list[str]:
    return __all__
