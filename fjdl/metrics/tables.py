"""Tables of pairs of labels and predictions, counted or weighted."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fjdl.integers import require_fit
from fjdl.metrics import counts, sums
from fjdl.metrics.counts import Count
from fjdl.numerics import signed
from fjdl.typing import Array, Bool, Float, Int, Integer, Num, typed


@typed
def known_labels(labels: Sequence[int] | None, *arrays: Integer[Array, "..."] | Bool[Array, "..."]) -> tuple[int, ...]:
    """The labels themselves, or for None all that occur in the arrays, in ascending order.

    What occurs in a traced array is unknown, so that under `jax.jit` and the like the labels must be given.
    """
    if labels is None and any(isinstance(array, Tracer) for array in arrays):
        raise ValueError("labels must be given where y_true and y_pred are traced, for instance labels=range(10)")
    if labels is None:
        labels = sorted({int(label) for array in arrays for label in np.unique(np.asarray(array))})
    known = tuple(int(label) for label in labels)
    if not known or len(set(known)) < len(known):
        raise ValueError(f"labels must be distinct and at least one, got {known}")
    return known


@typed
def positions(
    values: Integer[Array, "*shape"] | Bool[Array, "*shape"], labels: tuple[int, ...]
) -> Int[Array, "*shape"]:
    """The place of each value among the `k` labels, and `k` for a value that is none of them."""
    values, k = signed(values, name="y_true and y_pred"), len(labels)
    require_fit("labels", labels, values.dtype)
    if labels == tuple(range(labels[0], labels[0] + k)):
        place = values - labels[0]
        return jnp.where((place >= 0) & (place < k), place, k).astype(jnp.int32)
    order = np.argsort(labels)
    ascending = jnp.asarray(np.array(labels)[order], values.dtype)
    place = jnp.searchsorted(ascending, values) % k
    return jnp.where(ascending[place] == values, jnp.asarray(order, jnp.int32)[place], k)


@typed
def count_pairs(rows: Int[Array, "*batch"], columns: Int[Array, "*batch"], size: int) -> Count:
    """How often each pair of a row and a column occurs, `[size, size]`; pairs out of range are left out."""
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    cell = jnp.where(inside, rows.astype(jnp.int32) * size + columns.astype(jnp.int32), size * size)
    return counts.of(jnp.zeros(size * size, jnp.uint32).at[cell].add(1, mode="drop").reshape(size, size))


@typed
def pair_table(
    y_true: Integer[Array, " n"] | Bool[Array, " n"],
    y_pred: Integer[Array, " n"] | Bool[Array, " n"],
    labels: tuple[int, ...],
    sample_weight: Num[Array, " n"] | None = None,
) -> Float[Array, "k1 k1"]:
    """Weight of each pair of a label (row) and a prediction (column); the last row and column are all other labels."""
    size = len(labels) + 1
    rows, columns = positions(y_true, labels), positions(y_pred, labels)
    if sample_weight is None:
        return counts.to_float(count_pairs(rows, columns, size))
    return sums.to_float(sums.by_index(sample_weight, rows * size + columns, size * size)).reshape(size, size)


@typed
def confusion_table(
    y_true: Integer[Array, " n"] | Bool[Array, " n"],
    y_pred: Integer[Array, " n"] | Bool[Array, " n"],
    *,
    labels: Sequence[int] | None = None,
    sample_weight: Num[Array, " n"] | None = None,
) -> Float[Array, "k k"]:
    """Number of examples, or sum of their weights, by label (row) and prediction (column).

    The rows and columns are `labels` in their order, or all labels that occur in ascending order; under `jax.jit` they
    must be given. Pairs with another label are left out. Equals `sklearn.metrics.confusion_matrix`, but is zero
    where no label is in `y_true`. The same over batches is `confusion_matrix(classes)`.
    """
    return pair_table(y_true, y_pred, known_labels(labels, y_true, y_pred), sample_weight)[:-1, :-1]
