"""Rows of fjdl.quant."""

from collections.abc import Callable
from functools import partial

import numpy as np

from fjdl import quant
from tests.cases.case import Case, inputs, normal


def quantized(*shape: int) -> Callable[[np.random.Generator], quant.Quantized]:
    return lambda rng: quant.Quantized(
        rng.integers(-128, 128, shape).astype(np.int8),
        rng.uniform(0.1, 1.0, (1, *shape[1:])).astype(np.float32),
        np.full((1, *shape[1:]), 3, np.float32),
    )


CASES: list[Case] = [
    Case(partial(quant.absmax_quantize, axis=-1), inputs(normal(4, 3)), result=None),
    Case(partial(quant.zeropoint_quantize, axis=-1), inputs(normal(4, 3)), result=None),
    Case(quant.dequantize, inputs(quantized(4, 3)), result=None),
    Case(
        partial(quant.quantize_tree, quantize=quant.absmax_quantize),
        inputs(lambda rng: {"kernel": normal(4, 3)(rng), "bias": normal(3)(rng)}),
        result=None,
    ),
    Case(quant.dequantize_tree, inputs(lambda rng: {"kernel": quantized(4, 3)(rng)}), result=None),
]
