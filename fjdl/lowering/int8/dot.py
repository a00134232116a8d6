"""Matrix products of signed 8-bit integers."""

import jax.numpy as jnp
from jax import lax

from fjdl.typing import Array, Int, typed


@typed
def dot(a: Int[Array, "*batch m k"], b: Int[Array, "*batch k n"]) -> Int[Array, "*batch m n"]:
    """The product of int8 matrices, of each pair of a batch, as int32: exact where k is below 2^17.

    XLA:CPU has code for AVX512-VNNI and AMX, XLA:GPU and XLA:TPU have their own units for it, wherever operands are
    int8 and the result int32. Nothing is widened before.
    """
    leading = tuple(range(a.ndim - 2))
    pairs = (((a.ndim - 1,), (b.ndim - 2,)), (leading, leading))
    return lax.dot_general(jnp.asarray(a), jnp.asarray(b), pairs, preferred_element_type=jnp.int32)
