"""Quantization of one array to integers of 2 to 8 bits over its own range."""

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.quant.blocks import Axis, block_shape, over_blocks
from fjdl.quant.forms import onto_grid
from fjdl.quant.grid import Grid, grid_over, refuse_nan, symmetric_grid
from fjdl.quant.quantized import Quantized
from fjdl.typing import Array, Float, typed


@typed
def absmax_quantize(
    x: Float[Array, "*shape"], *, bits: int = 8, axis: Axis = None, group: int | None = None
) -> Quantized:
    """`x` on a symmetric grid: scale = max|x| / (2^(bits−1) − 1), integers = round(x / scale).

    `axis` names the axis or axes that keep a scale of their own (per channel: −1 for a kernel); None means one scale
    for all. With a `group`, each so many neighbours along the last of the other axes have one: `axis=-1, group=32` for
    a kernel `[d_in, d_out]` gives scales `[d_in / 32, d_out]`. Halves round to even. A block of zeros gets scale 1 and
    so stays zero. Under `jax.jit` a block with a NaN or an infinity gets scale NaN and dequantizes to NaN, never to a
    wrong number. Integers of fewer than 8 bits are packed, see `stored`. Jacob et al. 2018, arXiv:1712.05877; Dettmers
    et al. 2022, arXiv:2208.07339. Raises `ValueError` for bits outside [2, 8], an axis that `x` lacks, a group that
    does not divide its axis, an empty `x`, and a known `x` with a NaN or an infinity.

    >>> absmax_quantize(jnp.array([-1.0, 0.0, 1.0])).values
    Array([-127,    0,  127], dtype=int8)
    """
    within("[2, 8]", bits=bits)
    blocks = block_shape(x.shape, axis=axis, group=group)
    refuse_nan(x, infinite=True)
    return _up_to_largest(x, blocks, bits=bits)


@fused
def _up_to_largest(x: Array, blocks: tuple[int, ...], *, bits: int) -> Quantized:
    x = jnp.asarray(x).astype(jnp.float32)
    return onto_grid(x, grid_up_to_largest(x, blocks, bits=bits))


@typed
def grid_up_to_largest(x: Float[Array, "..."], blocks: tuple[int, ...], *, bits: int) -> Grid:
    """The grid onto which `absmax_quantize` rounds, with a scale for each of these blocks, see `block_shape`."""
    return symmetric_grid(over_blocks(jnp.max, jnp.abs(x), blocks), bits=bits)


@typed
def zeropoint_quantize(
    x: Float[Array, "*shape"], *, bits: int = 8, axis: Axis = None, group: int | None = None
) -> Quantized:
    """`x` on a grid over its own range: scale = (max − min) / (2^bits − 1), integers = round(x / scale + zero_point).

    zero_point = −round(min / scale) − 2^(bits−1), so that min lands on the lowest integer; it is kept whole and not
    limited to the integers, so that a range far from 0, such as [10, 11], costs no precision. A constant block is
    exact. The grid of `affine_grid` holds 0 instead, as activations need it. Axis, group, rounding, NaN and errors are
    as in `absmax_quantize`. Jacob et al. 2018, arXiv:1712.05877.

    >>> zeropoint_quantize(jnp.array([0.0, 1.0])).values
    Array([-128,  127], dtype=int8)
    """
    within("[2, 8]", bits=bits)
    blocks = block_shape(x.shape, axis=axis, group=group)
    refuse_nan(x, infinite=True)
    return _over_range(x, blocks, bits=bits)


@fused
def _over_range(x: Array, blocks: tuple[int, ...], *, bits: int) -> Quantized:
    x = jnp.asarray(x).astype(jnp.float32)
    low, high = over_blocks(jnp.min, x, blocks), over_blocks(jnp.max, x, blocks)
    return onto_grid(x, grid_over(low, high, bits=bits))


@typed
def quantize_rows(x: Float[Array, "*batch d"], *, bits: int = 8) -> Quantized:
    """`x` on a symmetric grid for each vector along the last axis: activations that are quantized as they come.

    `absmax_quantize` with every axis but the last in `axis`: dynamic quantization (Dettmers et al. 2022,
    arXiv:2208.07339, 2.1), for the factors of `products.linear`.
    """
    return absmax_quantize(x, bits=bits, axis=tuple(range(x.ndim - 1)))


@typed
def quantize_examples(x: Float[Array, "n *shape"], *, bits: int = 8) -> Quantized:
    """`x` on a symmetric grid for each entry of the first axis, such as each image of a batch, as they come.

    `absmax_quantize` with `axis=0`, for the images of `products.conv2d`.
    """
    return absmax_quantize(x, bits=bits, axis=0)
