"""Post-training quantization: pure functions from arrays and parameter trees to small integers and back.

`Quantized` is the one type of a quantized array, and `Grid` the reals that its integers stand for. A quantizer of your
own, such as one that learns how to round, makes integers on a grid and calls `from_integers`; a rule of `quantize_tree`
is any function from an array to a `Quantized`. `integers`, `dequantize` and `grid_of` read one in whatever form it is
stored. `ranges` has calibrators, which find ranges of activations, and `products` the products, convolutions and
look-ups of quantized arrays, which are of integers where activations are. May import every floor below 2.

>>> from fjdl import quant
>>> small = quant.absmax_quantize(jnp.array([-1.0, 0.5, 0.25]), bits=8)
>>> small.values
Array([-127,   64,   32], dtype=int8)
>>> quant.dequantize(small).round(2)
Array([-1.  ,  0.5 ,  0.25], dtype=float32)
"""

from fjdl.quant import products, ranges
from fjdl.quant.adaround import adaround
from fjdl.quant.affine import absmax_quantize, quantize_examples, quantize_rows, zeropoint_quantize
from fjdl.quant.bias import correct_bias, correct_bias_by_means, rectified_mean
from fjdl.quant.budget import bits_within
from fjdl.quant.casts import float8_quantize, saturating_cast
from fjdl.quant.equalize import Equalized, equalize_layers
from fjdl.quant.fake import fake_quantize, learned_step, lsq_quantize, straight_through_round
from fjdl.quant.fold import fold_batch_norm
from fjdl.quant.forms import dequantize, from_integers, grid_of, integers, quantize, stored
from fjdl.quant.gptq import gptq_quantize
from fjdl.quant.grid import Grid, affine_grid, rounded, spread, symmetric_grid
from fjdl.quant.moments import InputMoments, input_moments, product_error, unfolded_inputs
from fjdl.quant.normal_float import NF4_LEVELS, nf4_quantize
from fjdl.quant.packing import pack, packed_length, unpack
from fjdl.quant.quantized import Quantized, require
from fjdl.quant.tree import dequantize_tree, is_quantized, quantize_tree, size_in_bytes, store_tree

__all__ = [
    "NF4_LEVELS",
    "Equalized",
    "Grid",
    "InputMoments",
    "Quantized",
    "absmax_quantize",
    "adaround",
    "affine_grid",
    "bits_within",
    "correct_bias",
    "correct_bias_by_means",
    "dequantize",
    "dequantize_tree",
    "equalize_layers",
    "fake_quantize",
    "float8_quantize",
    "fold_batch_norm",
    "from_integers",
    "gptq_quantize",
    "grid_of",
    "input_moments",
    "integers",
    "is_quantized",
    "learned_step",
    "lsq_quantize",
    "nf4_quantize",
    "pack",
    "packed_length",
    "product_error",
    "products",
    "quantize",
    "quantize_examples",
    "quantize_rows",
    "quantize_tree",
    "ranges",
    "rectified_mean",
    "require",
    "rounded",
    "saturating_cast",
    "size_in_bytes",
    "spread",
    "store_tree",
    "stored",
    "straight_through_round",
    "symmetric_grid",
    "unfolded_inputs",
    "unpack",
    "zeropoint_quantize",
]


def __dir__() -> list[str]:
    return __all__
