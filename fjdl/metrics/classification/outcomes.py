"""Decisions for or against each class, counted by their outcome."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.numerics import full_product, widened
from fjdl.typing import Array, Float, Num, typed


class Outcomes(NamedTuple):
    """How many decisions were right and wrong, four arrays of one shape with an entry per class, label or example."""

    true_positives: Array
    false_positives: Array
    false_negatives: Array
    true_negatives: Array


@typed
@fused
def one_against_rest(matrix: Num[Array, "k k"]) -> Outcomes:
    """The outcomes of each class of a confusion matrix (rows are labels) against all others.

    Sums only, no differences: a class keeps its digits beside others that are 10⁹ times as large.
    """
    matrix = widened(matrix)
    own = jnp.eye(matrix.shape[0], dtype=bool)
    wrong = jnp.where(own, 0, matrix)
    not_predicted = full_product(matrix, (~own).astype(matrix.dtype))
    return Outcomes(
        jnp.diagonal(matrix),
        jnp.sum(wrong, axis=0),
        jnp.sum(wrong, axis=1),
        jnp.sum(jnp.where(own, 0, not_predicted), axis=0),
    )


@typed
def outcomes_of(matrix: Num[Array, "k k"] | Outcomes) -> Outcomes:
    """`one_against_rest` of a confusion matrix; outcomes themselves, in float32 or float64."""
    return jax.tree.map(widened, matrix) if isinstance(matrix, Outcomes) else one_against_rest(matrix)


@typed
def pooled(outcomes: Outcomes) -> Float[Array, "2 2"]:
    """The outcomes of all entries added up, as the confusion matrix `[[TN, FP], [FN, TP]]`."""
    return two_by_two(jax.tree.map(jnp.sum, outcomes_of(outcomes)))


@typed
def two_by_two(outcomes: Outcomes) -> Float[Array, "*entries 2 2"]:
    """The confusion matrix `[[TN, FP], [FN, TP]]` of each entry, as `sklearn.metrics.multilabel_confusion_matrix`."""
    tp, fp, fn, tn = outcomes_of(outcomes)
    return jnp.stack([jnp.stack([tn, fp], axis=-1), jnp.stack([fn, tp], axis=-1)], axis=-2)
