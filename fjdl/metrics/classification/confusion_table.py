"""Tables of pairs of labels and predictions, counted or weighted."""

import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fjdl.fused import fused
from fjdl.integers import require_fit
from fjdl.metrics.base import weight_of_each
from fjdl.metrics.classification.outcomes import Outcomes
from fjdl.metrics.state import amounts, counts
from fjdl.metrics.state.amounts import Amount
from fjdl.numerics import safe_divide, signed, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, Num, typed

Normalize = Literal["true", "pred", "all"]
Listed = Sequence[int | np.integer] | Integer[Array, " labels"] | Bool[Array, " labels"]
Labels = Listed | None


@typed
def listed(labels: Listed) -> tuple[int, ...]:
    """The labels as integers of Python, of a sequence or a concrete array such as `numpy.unique(y)`."""
    if isinstance(labels, Tracer):
        raise ValueError("labels must be concrete, since they choose the shape of the result, got traced ones")
    return tuple(map(int, np.asarray(labels) if isinstance(labels, np.ndarray | jax.Array) else labels))


@typed
def known_labels(labels: Labels, *arrays: Integer[Array, "..."] | Bool[Array, "..."]) -> tuple[int, ...]:
    """The labels themselves, or for None all that occur in the arrays, in ascending order.

    What occurs in a traced array is unknown, so that under `jax.jit` and the like the labels must be given.
    """
    if labels is None and any(isinstance(array, Tracer) for array in arrays):
        raise ValueError("labels must be given where y_true and y_pred are traced, for instance labels=range(10)")
    if labels is None:
        labels = sorted({label for array in arrays for label in np.unique(np.asarray(array)).tolist()})
    known = listed(labels)
    if not known or len(set(known)) < len(known):
        raise ValueError(f"labels must be distinct and at least one, got {known}")
    return known


@typed
def columns_of(labels: Listed, k: int) -> tuple[int, ...]:
    """The labels of `k` columns of scores, which must be distinct and as many."""
    known = listed(labels)
    if (len(set(known)), len(known)) != (k, k):
        raise ValueError(f"labels must be distinct, one for each of the {k} columns, got {known}")
    return known


@typed
def positions(
    values: Integer[Array, "*shape"] | Bool[Array, "*shape"], labels: tuple[int, ...]
) -> Int[Array, "*shape"]:
    """The place of each value among the `k` labels, and `k` for a value that is none of them."""
    values, k = signed(values, name="y_true and y_pred"), len(labels)
    require_fit("labels", labels, values.dtype)
    if labels == tuple(range(labels[0], labels[0] + k)):
        return _counted_from(values, labels[0], k)
    order = np.argsort(labels)
    ascending = jnp.asarray(np.array(labels)[order], values.dtype)
    return _among(values, ascending, jnp.asarray(order, jnp.int32), k)


@fused
def _among(
    values: Int[Array, "*shape"], ascending: Int[Array, " k"], order: Int[Array, " k"], k: int
) -> Int[Array, "*shape"]:
    """The place of each value in the `order` of the ascending labels, and `k` for all others."""
    place = jnp.searchsorted(ascending, values) % k
    return jnp.where(ascending[place] == values, order[place], k)


@fused
def _counted_from(values: Int[Array, "*shape"], first: int, k: int) -> Int[Array, "*shape"]:
    """The place among the `k` integers from the first, and `k` for all others."""
    place = values - first
    return jnp.where((place >= 0) & (place < k), place, k).astype(jnp.int32)


@typed
def require_table(name: str, size: int) -> None:
    """Raises `ValueError` where a table of `size` rows and columns has more cells than an int32 numbers."""
    if size**2 >= 2**31:
        raise ValueError(f"{name} must be at most {math.isqrt(2**31 - 1)} for a table of all pairs, got {size}")


@typed
@fused
def pair_amounts(
    rows: Int[Array, "*batch"],
    columns: Int[Array, "*batch"],
    weights: Num[Array, "*batch"] | Bool[Array, "*batch"],
    size: int,
) -> Amount:
    """How much each pair of a row and a column weighs, `[size, size]`; pairs out of range are left out."""
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    cell = jnp.where(inside, rows.astype(jnp.int32) * size + columns.astype(jnp.int32), size * size)
    return jax.tree.map(lambda x: x.reshape(size, size), amounts.by_index(cell, weights, size * size))


@typed
def class_outcomes(
    y_true: Integer[Array, " n"] | Bool[Array, " n"],
    y_pred: Integer[Array, " n"] | Bool[Array, " n"],
    labels: tuple[int, ...],
    sample_weight: Num[Array, " n"] | Bool[Array, " n"] | None = None,
    *,
    among_labels: bool = False,
) -> Outcomes:
    """The outcomes of each of the `k` labels against all others, in time and memory of O(n + k).

    A prediction or a label that is none of `labels` still counts against the other; `among_labels` leaves out examples
    with such a one. Counts are exact.
    """
    rows, columns = positions(y_true, labels), positions(y_pred, labels)
    return _outcomes(rows, columns, weight_of_each(sample_weight, y_true.shape), len(labels), among_labels)


@fused
def _outcomes(
    rows: Int[Array, " n"], columns: Int[Array, " n"], each: Num[Array, " n"], k: int, among_labels: bool
) -> Outcomes:
    """Those of each of the `k` labels, by the places of labels and predictions among them."""
    if among_labels:
        each = jnp.where((rows < k) & (columns < k), each, jnp.zeros_like(each))
    right = rows == columns
    of_label = amounts.by_index(jnp.where(right, rows, rows + k + 1), each, 2 * k + 2)
    found, missed = (jax.tree.map(lambda x, i=i: x[i : i + k + 1], of_label) for i in (0, k + 1))
    wrong = amounts.by_index(jnp.where(right, k, columns), each, k)
    tp, fp, fn = (amounts.to_float(x) for x in (found, wrong, missed))
    if each.dtype == bool:
        others = counts.of(
            jnp.sum(each, dtype=jnp.uint32) - (found.counted.low + missed.counted.low)[:k] - wrong.counted.low
        )
        return Outcomes(tp[:k], fp, fn[:k], counts.to_float(others))
    left = _outcomes(rows, columns, each.astype(bool), k, among_labels).true_negatives
    return Outcomes(tp[:k], fp, fn[:k], jnp.where(left == 0, 0, jnp.maximum(sum_of_others(tp + fn)[:k] - fp, 0)))


@typed
@fused
def sum_of_others(values: Float[Array, " k"]) -> Float[Array, " k"]:
    """The sum of all other values for each of them, from both sides, so that a large one does not swamp the others."""
    before, after = jnp.cumsum(values), jnp.cumsum(values[::-1])[::-1]
    zero = jnp.zeros(1, values.dtype)
    return jnp.concatenate([zero, before[:-1]]) + jnp.concatenate([after[1:], zero])


@typed
def confusion_table(
    y_true: Integer[Array, " n"] | Bool[Array, " n"],
    y_pred: Integer[Array, " n"] | Bool[Array, " n"],
    *,
    labels: Labels = None,
    sample_weight: Num[Array, " n"] | Bool[Array, " n"] | None = None,
    normalize: Normalize | None = None,
) -> Float[Array, "k k"]:
    """Number of examples, or sum of their weights, by label (row) and prediction (column).

    The rows and columns are `labels` in their order, or all labels that occur in ascending order; under `jax.jit` they
    must be given. Pairs with another label are left out. Equals `sklearn.metrics.confusion_matrix`, but is zero
    where no label is in `y_true`. `normalize` divides by the sum of the row
    ("true"), the column ("pred") or everything ("all"), see `normalized`. The same over batches is
    `confusion_matrix(classes)`.

    >>> confusion_table(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]))
    Array([[1., 1.],
           [0., 2.]], dtype=float32)
    """
    known = known_labels(labels, y_true, y_pred)
    require_table("the number of labels", len(known))
    each = weight_of_each(sample_weight, y_true.shape)
    pairs = pair_amounts(positions(y_true, known), positions(y_pred, known), each, len(known))
    matrix = amounts.to_float(pairs)
    return matrix if normalize is None else normalized(matrix, normalize=normalize)


@typed
def normalized(matrix: Num[Array, "k k"], *, normalize: Normalize) -> Float[Array, "k k"]:
    """The matrix over the sum of each row ("true"), of each column ("pred") or of all ("all"); 0 where that is 0.

    `then(confusion_matrix(10), partial(normalized, normalize="true"))` streams it. Equals
    `sklearn.metrics.confusion_matrix(normalize=...)`.

    >>> normalized(jnp.array([[1.0, 1.0], [0.0, 2.0]]), normalize="true")
    Array([[0.5, 0.5],
           [0. , 1. ]], dtype=float32)
    """
    matrix = widened(matrix)
    axis = {"true": 1, "pred": 0, "all": (0, 1)}[normalize]
    return safe_divide(matrix, jnp.sum(matrix, axis=axis, keepdims=True))
