"""Casts to shorter floating-point formats, with what becomes of numbers beyond their range."""

import jax
import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.quant.blocks import Axis, block_shape, over_blocks
from fjdl.quant.grid import refuse_nan, spread, usable
from fjdl.quant.quantized import FLOATS, Quantized, require
from fjdl.typing import Array, Float, PyTree, typed


@typed
def saturating_cast(tree: PyTree, dtype: jax.typing.DTypeLike) -> PyTree:
    """The tree with its floating-point leaves in `dtype`, rounded to nearest, halves to even.

    A number beyond the largest of `dtype` becomes the largest, infinities too, with its sign: 65504 in float16, 448 in
    float8_e4m3fn, 57344 in float8_e5m2. NaN stays NaN. A plain cast, `fjdl.tree.cast`, gives infinity instead, and NaN
    in float8_e4m3fn, which has no infinity. A cast halves or quarters a network's bytes and keeps no scale. Raises
    `ValueError` for a dtype that is not a floating-point one.

    >>> saturating_cast(jnp.array([1e6, -1e6, 0.3]), jnp.float16)
    Array([ 6.55e+04, -6.55e+04,  3.00e-01], dtype=float16)
    """
    kind = jnp.dtype(dtype)
    if not jnp.issubdtype(kind, jnp.floating):
        raise ValueError(f"dtype must be a floating-point type, got {kind}")
    return jax.tree.map(lambda x: _cast(x, kind) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


@typed
def float8_quantize(
    x: Float[Array, "*shape"],
    *,
    dtype: jax.typing.DTypeLike = jnp.float8_e4m3fn,
    axis: Axis = None,
    group: int | None = None,
) -> Quantized:
    """`x` in 8-bit floats: values = x / scale rounded to `dtype`, with scale = max|x| / the largest of `dtype`.

    float8_e4m3fn has 3 fraction bits and reaches 448, float8_e5m2 2 and 57344 (Micikevicius et al. 2022,
    arXiv:2209.05433). An entry is off by at most 1/16 of itself in the first and 1/8 in the second, and among the
    smallest by 2⁻¹⁰ and 2⁻¹⁷ of the scale. Axis, group, zeros, NaN and errors are as in `absmax_quantize`; any other
    dtype raises `ValueError`.

    >>> float8_quantize(jnp.array([448.0, 17.0])).values
    Array([448, 16], dtype=float8_e4m3fn)
    """
    kind = jnp.dtype(dtype)
    if kind not in FLOATS:
        raise ValueError(f"dtype must be float8_e4m3fn or float8_e5m2, got {kind}")
    blocks = block_shape(x.shape, axis=axis, group=group)
    refuse_nan(x, infinite=True)
    return _up_to_largest(x, blocks, dtype=kind)


@fused
def _up_to_largest(x: Array, blocks: tuple[int, ...], *, dtype: jnp.dtype) -> Quantized:
    x = jnp.asarray(x).astype(jnp.float32)
    scale = usable(over_blocks(jnp.max, jnp.abs(x), blocks) / float(jnp.finfo(dtype).max), otherwise=1.0)
    return require(Quantized(_cast(x / spread(scale, x.shape), dtype), scale))


def _cast(x: Float[Array, "..."], dtype: jnp.dtype) -> Float[Array, "..."]:
    x = jnp.asarray(x)
    top = float(jnp.finfo(dtype).max)
    reach = float(jnp.finfo(x.dtype).max)
    return (x if reach <= top else jnp.clip(x, -top, top)).astype(dtype)
