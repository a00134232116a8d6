"""Retrieval: embeddings whose nearest neighbours are of their class."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from fjdl import losses, metrics
from fjdl.batch import EXAMPLE_MASK
from fjdl.metrics.retrieval.neighbours import RetrievalScores
from fjdl.numerics import unit
from fjdl.train.recipe import Batch
from fjdl.train.summary import Summary
from fjdl.train.tasks.base import Task, TaskLoss
from fjdl.typing import Array

# of embeddings [n, d], labels [n] and which rows count [n], to values [m] and their weights [m]
Comparison = Callable[[Array, Array, Array], tuple[Array, Array]]


def contrast(*, temperature: float = 0.1) -> Comparison:
    """`losses.supervised_contrastive_loss` of each example that has another of its class in the batch."""

    def compare(embeddings: Array, labels: Array, counted: Array) -> tuple[Array, Array]:
        values = losses.supervised_contrastive_loss(embeddings, labels, temperature=temperature, mask=counted)
        return values, losses.has_positive(labels, mask=counted).astype(values.dtype)

    return compare


def hard_triplets(*, margin: float = 0.2) -> Comparison:
    """`losses.triplet_margin_loss` of the hardest triplet of each example, `losses.hard_triplets`, of unit vectors."""

    def compare(embeddings: Array, labels: Array, counted: Array) -> tuple[Array, Array]:
        vectors = unit(embeddings)
        chosen = losses.hard_triplets(vectors, labels, mask=counted)
        three = (vectors[rows] for rows in (chosen.anchor, chosen.positive, chosen.negative))
        values = losses.triplet_margin_loss(*three, margin=margin)
        return values, chosen.valid.astype(values.dtype)

    return compare


def semi_hard_triplets(*, margin: float = 0.2) -> Comparison:
    """As `hard_triplets` of squared distances, with the negatives of `losses.semi_hard_triplets`, one a pair."""

    def compare(embeddings: Array, labels: Array, counted: Array) -> tuple[Array, Array]:
        vectors = unit(embeddings)
        chosen = losses.semi_hard_triplets(vectors, labels, margin=margin, squared=True, mask=counted)
        three = (vectors[rows] for rows in (chosen.anchor, chosen.positive, chosen.negative))
        values = losses.triplet_margin_loss(*three, margin=margin, squared=True)
        return values, chosen.valid.astype(values.dtype)

    return compare


def retrieval(dimensions: int, *, capacity: int, compare: Comparison | None = None, ks: Sequence[int] = (1, 5)) -> Task:
    """Embeddings `[n, dimensions]` against `batch["label"]` `[n]`: neighbours by the cosine are of the same class.

    The loss compares the examples of a batch with one another, by `contrast()` unless another comparison is given:
    `contrast`, `hard_triplets` and `semi_hard_triplets` are here. A recipe takes `order=orders.groups(labels, each=4)`
    or the like, so that each example has others of its class in its batch.

    Results, of all examples of a part as queries, each beside all others: `recall_at_1` and the like for each of `ks`,
    `map_at_r`, `r_precision` (`metrics.RetrievalScores`). `capacity` is the number of examples of the largest part that
    is evaluated; a part with more gives NaN. Raises `ValueError` for embeddings of other dimensions.
    """
    pairs = compare or contrast()

    def loss(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        if outputs.ndim != 2 or outputs.shape[1] != dimensions:
            raise ValueError(f"the model must give embeddings of shape [n, {dimensions}], got {outputs.shape}")
        counted = batch.get(EXAMPLE_MASK, jnp.ones(len(outputs)))
        return pairs(outputs, batch["label"], counted)

    collected = metrics.collected_retrieval(dimensions, capacity=capacity, ks=ks)

    def result(score: Callable[[RetrievalScores], Array]) -> metrics.Metric:
        return metrics.on(metrics.then(collected, score), lambda outputs, batch: (outputs, batch["label"]))

    measured = {f"recall_at_{k}": result(lambda scores, i=i: scores.recall[i]) for i, k in enumerate(ks)}
    measured["map_at_r"] = result(lambda scores: scores.map_at_r)
    measured["r_precision"] = result(lambda scores: scores.r_precision)
    return Task(TaskLoss(loss, (), Summary(f"recall_at_{ks[0]}")), measured)
