"""A bias beside every row, and its gradient, the sum of each column, as the platform runs it fast."""

import math

import jax.numpy as jnp
from jax import lax

from fjdl.fused import fused
from fjdl.lowering.bilinear import Rules, bilinear
from fjdl.measured import measured
from fjdl.meshes import alike
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed

NEVER = math.inf
# Columns from which XLA:CPU adds them up faster in a product with ones than in a sum, which for some widths, seen from
# 16,000 columns on, is up to 60 times slower in jaxlib 0.10.2 (YNNPACK's reduction).
PRODUCT = measured({"0.10.2": 256, "0.12.0": NEVER})
PRODUCT_OF_HALVES = measured({"0.10.2": 8193, "0.12.0": NEVER})
ONES = 8  # rows of ones with which XLA:CPU multiplies bfloat16 as matrices and not as vectors, which is slow


@typed
@fused
def add_bias(y: Float[Array, "*batch d"], bias: Float[Array, "d"] | None) -> Float[Array, "*batch d"]:
    """`y + bias` along the last axis, summed in float32, in the dtype of `y`."""
    if bias is None:
        return y
    y, bias = jnp.asarray(y), widened(bias)
    ones, _ = alike(jnp.ones_like(jnp.sum(y, axis=-1), bias.dtype), y)
    return (widened(y) + _beside(ones, bias, dtype=y.dtype)).astype(y.dtype)


def _sums(ones: Array, y: Array, *, dtype: jnp.dtype) -> Array:
    del dtype
    return jnp.sum(ones[..., None] * y, axis=tuple(range(ones.ndim)))


def _sums_on_cpu(ones: Array, y: Array, *, dtype: jnp.dtype) -> Array:
    """The cotangent `y` is float32 and holds numbers of the `dtype` in which the layer answered."""
    if not _as_product(y.shape[-1], dtype):
        return _sums(ones, y, dtype=dtype)
    rows = ones.reshape(1, -1) if dtype.itemsize > 2 else jnp.broadcast_to(ones.reshape(1, -1), (ONES, ones.size))
    pairs = (((1,), (0,)), ((), ()))
    matrix = y.reshape(-1, y.shape[-1]).astype(dtype)
    return lax.dot_general(rows.astype(dtype), matrix, pairs, preferred_element_type=y.dtype)[0]


def _as_product(columns: int, dtype: jnp.dtype) -> bool:
    least = {"float32": PRODUCT, "bfloat16": PRODUCT_OF_HALVES}.get(dtype.name, NEVER)
    return isinstance(columns, int) and columns >= least


def _repeated(ones: Array, bias: Array, *, dtype: jnp.dtype) -> Array:
    del dtype
    return ones[..., None] * _along_last(bias, ones.ndim)


def _weighed(y: Array, bias: Array, *, dtype: jnp.dtype) -> Array:
    del dtype
    return jnp.sum(y * _along_last(bias, y.ndim - 1), axis=-1)


def _along_last(bias: Array, axes: int) -> Array:
    return bias.reshape((1,) * axes + bias.shape)


_PLAIN = Rules(out=_repeated, lhs=_weighed, rhs=_sums)
_CPU = _PLAIN._replace(rhs=_sums_on_cpu)
_beside = bilinear("fjdl_bias", _PLAIN, platforms={"cpu": {"0.10.2": _CPU, "0.12.0": _CPU}})
