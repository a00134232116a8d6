"""NF4: 4 bits whose 16 levels are spaced as numbers of a normal distribution are."""

import itertools

import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.quant.blocks import Axis, block_shape, over_blocks
from fjdl.quant.forms import from_integers
from fjdl.quant.grid import Grid, refuse_nan, spread, usable
from fjdl.quant.quantized import Quantized
from fjdl.typing import Array, Float, typed

# Quantiles of the standard normal distribution over the largest: 8 at even steps of probability from 0.9677083 down to
# 0.5, without the last, and 7 on the other side; 0 between.
NF4_LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


@typed
def nf4_quantize(x: Float[Array, "*shape"], *, axis: Axis = None, group: int | None = 64) -> Quantized:
    """`x` in 4 bits, each number at the nearest of 16 levels times scale = max|x| of its block.

    The levels are those of Dettmers et al. 2023, arXiv:2305.14314; halfway between two the lower one is taken. An entry
    is off by at most 0.152 · scale, half of the widest gap, and on weights that are normally distributed by less on
    average than on even steps. Axis, group, zeros, NaN and errors are as in `absmax_quantize`; the usual group is 64.

    >>> from fjdl.quant import dequantize
    >>> dequantize(nf4_quantize(jnp.array([-2.0, 0.1, 2.0]), group=None))
    Array([-2.        ,  0.1591606,  2.        ], dtype=float32)
    """
    blocks = block_shape(x.shape, axis=axis, group=group)
    refuse_nan(x, infinite=True)
    return _nearest_levels(x, blocks)


@fused
def _nearest_levels(x: Array, blocks: tuple[int, ...]) -> Quantized:
    x = jnp.asarray(x).astype(jnp.float32)
    scale = usable(over_blocks(jnp.max, jnp.abs(x), blocks), otherwise=1.0)
    part = x / spread(scale, x.shape)
    code = jnp.full(x.shape, -8, jnp.int8)
    for low, high in itertools.pairwise(NF4_LEVELS):
        code = code + (part > (low + high) / 2).astype(jnp.int8)
    return from_integers(code, Grid(scale, bits=4), levels=NF4_LEVELS)
