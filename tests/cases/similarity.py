"""Rows of fjdl.functional.similarity."""

from typing import Any

import numpy as np

from fjdl.functional import most_similar, nearest_neighbours, similarity
from tests.cases.case import Case, f32, inputs, normal, of_torch

ROWS = inputs(normal(4, 5), normal(4, 5))
SETS = inputs(normal(3, 5), normal(4, 5))


def cosine(x: Any, y: Any) -> Any:
    import torch

    return torch.nn.functional.cosine_similarity(x, y, dim=-1)


def cdist(x: Any, y: Any) -> Any:
    import torch

    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def nearest(queries: Any, entries: Any, valid: Any) -> Any:
    """Distances and indices as numbers of one dtype, some entries at a time."""
    found = nearest_neighbours(queries, entries, valid, k=3, block=2)
    return found.values, found.indices.astype(found.values.dtype)


def nearest_by_sorting(queries: Any, entries: Any, valid: Any) -> Any:
    away = np.sqrt(np.square(queries[:, None] - entries[None]).sum(-1))
    away[:, ~valid] = np.inf
    order = np.argsort(away, axis=1, kind="stable")[:, :3]
    return np.take_along_axis(away, order, 1), order


def alike(queries: Any, entries: Any) -> Any:
    found = most_similar(queries, entries, k=2, block=3)
    return found.values, found.indices.astype(found.values.dtype)


def alike_by_sorting(queries: Any, entries: Any) -> Any:
    lengths = [np.linalg.norm(x, axis=1) for x in (queries, entries)]
    cosines = queries @ entries.T / np.outer(*lengths)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :2]
    return np.take_along_axis(cosines, order, 1), order


def apart(rng: np.random.Generator) -> Any:
    """Queries and entries whose distances are far from each other's, in bfloat16 too."""
    entries = 2.0 ** np.arange(5)[:, None] * f32([1, 0])
    return f32([0.25, 0], [0.5, 0]), entries[rng.permutation(5)].astype(np.float32), np.arange(5) != 3


CASES: list[Case] = [
    Case(nearest, apart, (0, 1), "float32", oracle=nearest_by_sorting, domain=None),
    Case(
        alike,
        inputs(lambda _: f32([1, 0], [0, 2]), lambda _: f32([1, 1], [4, 0], [-1, 3], [0, -1])),
        result="float32",
        oracle=alike_by_sorting,
    ),
    Case(
        similarity.cosine_similarity,
        ROWS,
        (0, 1),
        oracle=of_torch(cosine),
        edges=(
            ((f32([0, 0], [1e25, 0], [1e-25, 1e-25]), f32([1, 2], [1e25, 1e25], [3, 3])), f32(0, np.sqrt(0.5), 1)),
            ((f32([np.inf, 0]), f32([1, 2])), f32(np.nan)),
        ),
        errors=(((f32([1, 2], [3, 4]), f32(1, 2)), r"^cosine_similarity: argument `y` must be "),),
    ),
    Case(
        similarity.cosine_similarities,
        SETS,
        (0, 1),
        vmappable=False,
        oracle=of_torch(lambda x, y: cosine(x[:, None], y[None])),
        edges=(((f32([0, 0], [0, 3]), f32([1e30, 0], [0, 1e-30])), f32([0, 0], [0, 1])),),
    ),
    Case(
        similarity.euclidean_distance,
        ROWS,
        (0, 1),
        oracle=lambda x, y: np.linalg.norm(x - y, axis=-1),
        edges=(((f32([1, 2], [3e30, 0], [3e-30, 0]), f32([1, 2], [0, 4e30], [0, 4e-30])), f32(0, 5e30, 5e-30)),),
    ),
    Case(
        similarity.euclidean_distances,
        SETS,
        (0, 1),
        vmappable=False,
        oracle=of_torch(cdist),
        edges=(((f32([0, 0], [3, 4]), f32([0, 0])), f32([0], [5])),),
    ),
]
