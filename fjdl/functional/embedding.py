"""Vectors of tokens: rows of a table `[vocabulary, features]`."""

import jax.numpy as jnp

from fjdl.functional.dropout import dropout
from fjdl.functional.linear import linear
from fjdl.numerics import signed, widened
from fjdl.typing import Array, Float, Integer, Number, PRNGKey, typed


@typed
def embedding(ids: Integer[Array, "*batch"], table: Float[Array, "v d"]) -> Float[Array, "*batch d"]:
    """The row of the table for each id, in the dtype of the table.

    An id outside [0, v) never becomes another row: its vector is NaN, under `jit` too, and it reaches no gradient. The
    gradient of the table is summed in float32. Cast the result and not the table: a table in float32 is read where ids
    point, and a cast one as a whole. Equals `one_hot(ids, classes=v) @ table` and `torch.nn.functional.embedding`.

    >>> embedding(jnp.array([1, 0, 2]), jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[ 3.,  4.],
           [ 1.,  2.],
           [nan, nan]], dtype=float32)
    """
    ids, size = signed(ids, name="ids"), table.shape[0]
    inside = (ids >= 0) & (ids < size)
    rows = jnp.take(widened(table), jnp.where(inside, ids, size), axis=0, mode="fill", fill_value=jnp.nan)
    return rows.astype(table.dtype)


@typed
def tied_logits(h: Float[Array, "*batch d"], table: Float[Array, "v d"]) -> Float[Array, "*batch v"]:
    """The product of each vector with each row of the table, `h tableᵀ`, in the dtype of `h`: scores of all words.

    So one table serves input and output (Press & Wolf 2017, arXiv:1608.05859). Summed in float32. Equals
    `torch.nn.functional.linear(h, table)`.

    >>> tied_logits(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    Array([[1., 2., 3.]], dtype=float32)
    """
    return linear(h, table.T)


@typed
def embedding_dropout(key: PRNGKey, table: Float[Array, "v d"], *, rate: Number) -> Float[Array, "v d"]:
    """The table with each row set to 0 with probability `rate` and all others divided by `1 - rate`, for training.

    A word is so dropped wherever it occurs in a batch (Gal & Ghahramani 2016, arXiv:1512.05287, 4.2). Raises
    `ValueError` for a rate outside [0, 1].
    """
    factors = dropout(key, jnp.ones((table.shape[0], 1), widened(table).dtype), rate=rate)
    return (widened(table) * factors).astype(table.dtype)
