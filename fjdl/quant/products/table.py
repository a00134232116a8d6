"""Look-up in a quantized table."""

import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.fused import fused
from fjdl.numerics import signed
from fjdl.quant.forms import dequantize
from fjdl.quant.quantized import Quantized
from fjdl.typing import Array, Float, Integer, typed


@typed
@fused
def embedding(
    ids: Integer[Array, "*batch"], table: Quantized, *, dtype: DTypeLike = jnp.float32
) -> Float[Array, "*batch d"]:
    """The row of the quantized table [v, d] for each id, in `dtype`: only rows that are looked up become floats.

    The table has one scale for all, for each column, for each row, or for each group within a row. An id outside [0, v)
    has a vector of NaN, as in `fjdl.functional.embedding`. Raises `ValueError` for a table that is no matrix, and for
    one whose scales are those of groups of rows.

    >>> from fjdl.quant import absmax_quantize
    >>> embedding(jnp.array([1, 2]), absmax_quantize(jnp.array([[1.0, 2.0], [127.0, 3.0]]), axis=0))
    Array([[127.,   3.],
           [ nan,  nan]], dtype=float32)
    """
    ids, size = signed(ids, name="ids"), table.shape[0]
    if table.ndim != 2 or table.scale.shape[0] not in (1, size):
        raise ValueError(
            f"table must be a matrix whose scales are for all rows or for each, got {list(table.scale.shape)} "
            f"for {list(table.shape)}"
        )
    inside = (ids >= 0) & (ids < size)
    places = jnp.where(inside, ids, 0).reshape(-1)

    def of_rows(part: Array) -> Array:
        return jnp.take(jnp.asarray(part), places, axis=0) if part.shape[0] == size else jnp.asarray(part)

    zero = None if table.zero_point is None else of_rows(table.zero_point)
    values = jnp.take(jnp.asarray(table.values), places, axis=0)
    rows = Quantized(values, of_rows(table.scale), zero, table.bits, table.columns, table.levels)
    found = dequantize(rows).reshape(*ids.shape, table.shape[1])
    return jnp.where(inside[..., None], found, jnp.nan).astype(dtype)
