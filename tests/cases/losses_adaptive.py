"""Rows of the losses of large vocabularies in fjdl.losses."""

from functools import partial
from typing import Any

import numpy as np

from fjdl import functional, losses
from tests.cases.case import Case, f32, i32, inputs, normal

SIZES, WIDTHS, D = (3, 4, 2), (4, 2), 8  # words of the head and of two clusters, and the features of each


def tails(rng: Any) -> Any:
    """A table and a projection for each cluster."""
    return tuple(
        (normal(size, width)(rng), normal(width, D)(rng)) for width, size in zip(WIDTHS, SIZES[1:], strict=True)
    )


def words(rng: Any) -> Any:
    return rng.permutation(np.arange(9, dtype=np.int32)).reshape(3, 3)


def by_torch(table: Any, clusters: Any, tails: Any) -> Any:
    """PyTorch's module with these weights."""
    import torch

    module = torch.nn.AdaptiveLogSoftmaxWithLoss(D, sum(SIZES), [3, 7], div_value=2, dtype=torch.float64)
    weights: Any = [np.concatenate([table, clusters]), *(array for rows, kernel in tails for array in (kernel, rows))]
    with torch.no_grad():
        for ours, theirs in zip(weights, module.parameters(), strict=True):
            theirs.copy_(torch.tensor(ours))
    return module


def rows_of_tables(ids: Any, first: Any, tails: Any) -> Any:
    return np.concatenate([first, *(rows @ kernel for rows, kernel in tails)])[ids]


WEIGHTS = (normal(SIZES[0], D), normal(2, D), tails)
TAIL = np.zeros((4, 1), np.float32), np.zeros((1, 2), np.float32)
ZERO, TWO, ONE = f32(0, 0), np.zeros((2, 2), np.float32), np.ones((1, 1), np.float32)
FIRST, LAST = i32(1).reshape(()), i32(5).reshape(())

CASES = [
    Case(
        losses.adaptive_softmax_loss, inputs(normal(3, 3, D), words, *WEIGHTS), (0, 2, 3, 4), "float32",
        domain=(-1e2, 1e2),
        edges=(((ZERO, FIRST, TWO, TWO, (TAIL, TAIL)), np.log(4)), ((ZERO, LAST, TWO, TWO, (TAIL, TAIL)), np.log(16))),
        errors=(((ZERO, FIRST, TWO, TWO, (TAIL,)), "tails must be as many as the 2 clusters, got 1"),),
    ),
    Case(
        partial(losses.adaptive_softmax_loss, capacities=(4, 1)), inputs(normal(3, 3, D), words, *WEIGHTS),
        (0, 2, 3, 4), "float32", label="capacities", domain=(-1e2, 1e2),
        errors=(((ZERO, FIRST, TWO, TWO[:1], (TAIL,)), "capacities must have one number for each of 1 tails, got 2"),),
    ),
    Case(
        losses.adaptive_log_probabilities, inputs(normal(3, D), *WEIGHTS), (0, 1, 2, 3), "float32", domain=(-1e2, 1e2),
        edges=(((ZERO, TWO, TWO, (TAIL, TAIL)), np.log(np.repeat([1 / 4, 1 / 16], [2, 8]))),),
        errors=(((ZERO, TWO, TWO, (TAIL,)), "tails must be as many as the 2 clusters, got 1"),),
    ),
    Case(
        functional.adaptive_embedding, inputs(words, normal(SIZES[0], D), tails), (1, 2), oracle=rows_of_tables,
        edges=(((i32(-1, 3, 2), ONE, ((2 * ONE, ONE), (3 * ONE, ONE))), f32([np.nan], [np.nan], [3])),),
    ),
]  # fmt: skip
