"""Post-training quantization: pure functions from arrays and parameter trees to small integers and back."""

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
