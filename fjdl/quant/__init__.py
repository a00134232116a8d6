"""Post-training quantization: pure functions from arrays and parameter trees to small integers and back.

May import floor 0 alone.

>>> from fjdl import quant
>>> small = quant.absmax_quantize(jnp.array([-1.0, 0.5, 0.25]), bits=8)
>>> small.values
Array([-127,   64,   32], dtype=int8)
>>> quant.dequantize(small).round(2)
Array([-1.  ,  0.5 ,  0.25], dtype=float32)
"""

from fjdl.quant.affine import Quantized, absmax_quantize, dequantize, zeropoint_quantize
from fjdl.quant.tree import dequantize_tree, quantize_tree, size_in_bytes

__all__ = [
    "Quantized",
    "absmax_quantize",
    "dequantize",
    "dequantize_tree",
    "quantize_tree",
    "size_in_bytes",
    "zeropoint_quantize",
]


def __dir__() -> list[str]:
    return __all__
