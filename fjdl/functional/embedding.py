"""Vectors of tokens: rows of a table `[vocabulary, features]`."""

from itertools import accumulate

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.functional.dropout import dropout
from fjdl.functional.linear import linear
from fjdl.integers import require_fit
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
    ids, table = signed(ids, name="ids"), jnp.asarray(table)
    size = table.shape[0]
    inside = (ids >= 0) & (ids < size)
    rows = jnp.take(widened(table), jnp.where(inside, ids, size), axis=0, mode="fill", fill_value=jnp.nan)
    return rows.astype(table.dtype)


@typed
def embedding_bag(
    ids: Integer[Array, "*batch t"], weights: Float[Array, "*batch t"], table: Float[Array, "v d"]
) -> Float[Array, "*batch d"]:
    """The sum of the rows of the table for the ids, each times its weight, in the dtype of the table; 0 for no ids.

    An id of weight 0 is padding: whatever it is, it changes nothing and has no gradient. Any other id outside [0, v) is
    NaN, as in `embedding`. Summed in float32. Equals `torch.nn.functional.embedding_bag` with `mode="sum"` and
    `per_sample_weights`.

    >>> table = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> embedding_bag(jnp.array([1, 0, -1]), jnp.array([2.0, 1.0, 0.0]), table)
    Array([ 7., 10.], dtype=float32)
    """
    counted, table = weights != 0, jnp.asarray(table)
    rows = widened(embedding(jnp.where(counted, ids, 0), table))
    return jnp.sum(jnp.where(counted, widened(weights), 0)[..., None] * rows, axis=-2).astype(table.dtype)


@typed
def adaptive_embedding(
    ids: Integer[Array, "*batch"],
    table: Float[Array, "v d"],
    tails: tuple[tuple[Float[Array, "_ _"], Float[Array, "_ d"]], ...],
    *,
    dtype: DTypeLike | None = None,
) -> Float[Array, "*batch d"]:
    """The vector of each id where frequent words have long vectors and rare ones short: rows of the table, then tails.

    The ids from v on are those of the tails, one after the other: a row of the first of the pair, `[k, r]`, times the
    second, `[r, d]` (Baevski & Auli 2019, arXiv:1809.10853). Rows are cast to `dtype`, that of the table by default,
    before the product. An id beyond all words, or below 0, has NaN, see `embedding`. `losses.adaptive_softmax_loss`
    is the same at the other end of a network, with transposed weights.

    >>> tail = jnp.array([[3.0]]), jnp.array([[1.0, -1.0]])
    >>> adaptive_embedding(jnp.array([0, 1]), jnp.array([[1.0, 2.0]]), (tail,))
    Array([[ 1.,  2.],
           [ 3., -3.]], dtype=float32)
    """
    ids, table = signed(ids, name="ids"), jnp.asarray(table)
    dtype = table.dtype if dtype is None else dtype
    sizes = [table.shape[0], *(rows.shape[0] for rows, _ in tails)]
    starts = list(accumulate(sizes, initial=0))
    inside = (ids >= 0) & (ids < starts[-1])
    total = _rows_or_zero(table, ids, 0).astype(dtype)
    for (rows, kernel), start in zip(tails, starts[1:], strict=False):
        total = total + linear(_rows_or_zero(rows, ids, start).astype(dtype), kernel)
    return jnp.where(inside[..., None], total, jnp.nan)


def _rows_or_zero(table: Float[Array, "v d"], ids: Integer[Array, "*batch"], start: int) -> Float[Array, "*batch d"]:
    """The rows of the ids from `start` on, and zeros for those that have none."""
    size = table.shape[0]
    table = jnp.asarray(table)
    places = jnp.where((ids >= start) & (ids < start + size), ids - start, size)
    return jnp.take(widened(table), places, axis=0, mode="fill", fill_value=0).astype(table.dtype)


@typed
def tied_logits(h: Float[Array, "*batch d"], table: Float[Array, "v d"]) -> Float[Array, "*batch v"]:
    """The product of each vector with each row of the table, `h tableᵀ`, in the dtype of `h`: scores of all words.

    So one table serves input and output (Press & Wolf 2017, arXiv:1608.05859). Summed in float32. Equals
    `torch.nn.functional.linear(h, table)`.

    >>> tied_logits(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    Array([[1., 2., 3.]], dtype=float32)
    """
    return linear(jnp.asarray(h), jnp.asarray(table).T)


@typed
def embedding_dropout(key: PRNGKey, table: Float[Array, "v d"], *, rate: Number) -> Float[Array, "v d"]:
    """The table with each row set to 0 with probability `rate` and all others divided by `1 - rate`, for training.

    A word is so dropped wherever it occurs in a batch (Gal & Ghahramani 2016, arXiv:1512.05287, 4.2). Raises
    `ValueError` for a rate outside [0, 1].
    """
    table = jnp.asarray(table)
    factors = dropout(key, jnp.ones((table.shape[0], 1), widened(table).dtype), rate=rate)
    return (widened(table) * factors).astype(table.dtype)


@typed
def word_dropout(
    key: PRNGKey, ids: Integer[Array, "*shape"], *, rate: Number, unknown: int
) -> Integer[Array, "*shape"]:
    """The ids with each one replaced by `unknown` with probability `rate`, for training.

    So a model learns to do without any single word, and what to make of words that it has never seen (Iyyer et al.
    2015, ACL; Dai & Le 2015, arXiv:1511.01432). Unlike in `embedding_dropout`, each place is drawn for itself. Raises
    `ValueError` for a rate outside [0, 1], and for an `unknown` that does not fit the dtype of the ids.

    >>> word_dropout(jax.random.key(0), jnp.array([5, 7]), rate=1.0, unknown=0)
    Array([0, 0], dtype=int32)
    """
    within("[0, 1]", rate=rate)
    ids = jnp.asarray(ids)
    require_fit("unknown", unknown, ids.dtype, remedy="")
    dropped = jax.random.bernoulli(key, rate, ids.shape)
    return jnp.where(dropped, jnp.asarray(unknown, ids.dtype), ids)
