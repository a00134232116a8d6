"""Matrix products and the movement of their factors as XLA:CPU runs them fast.

XLA:CPU converts bfloat16 and float16 to float32 to pad, join or transpose them, and multiplies in float32 if a factor
is transposed.  Integers of 16 bits are moved without a conversion.  So the bits of such arrays are moved as integers,
and a factor is transposed this way before the product.
"""

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from fjdl.numerics import wide
from fjdl.typing import Array


def bits(a: Array) -> Array:
    """Numbers of two bytes as integers, others as they are."""
    return lax.bitcast_convert_type(a, jnp.uint16) if a.dtype.itemsize == 2 else a


def numbers(a: Array, dtype: DTypeLike) -> Array:
    """The inverse of `bits`."""
    return lax.bitcast_convert_type(a, dtype)


def product(a: Array, b: Array, axes: tuple[int, int]) -> Array:
    """Contraction of one axis of each, in float32 or wider.

    Of numbers of two bytes behind a barrier: XLA:CPU draws a transposition of the result into the product, for which it
    has no code then and fails at run time.
    """
    total = lax.dot_general(a, b, (((axes[0],), (axes[1],)), ((), ())), preferred_element_type=wide(a.dtype))
    return lax.optimization_barrier(total) if a.dtype.itemsize == 2 else total


def product_of_columns(a: Array, b: Array) -> Array:
    """[k, m] and [k, n] to aᵀ b, in float32 or wider."""
    return product(transposed(bits(a), a.dtype), b, (1, 0)) if a.dtype.itemsize == 2 else product(a, b, (0, 0))


def transposed(a: Array, dtype: DTypeLike) -> Array:
    """[m, n] of `bits` to [n, m] of numbers, written out so that no product takes the transposition back."""
    if a.dtype == dtype:
        return lax.optimization_barrier(a.T)
    return numbers(a[:, :, None].transpose(1, 2, 0).reshape(a.shape[1], a.shape[0]), dtype)
