"""Rows of fjdl.functional.similarity."""

from typing import Any

import numpy as np

from fjdl.functional import similarity
from tests.cases.case import Case, f32, inputs, normal, of_torch

ROWS = inputs(normal(4, 5), normal(4, 5))
SETS = inputs(normal(3, 5), normal(4, 5))


def cosine(x: Any, y: Any) -> Any:
    import torch

    return torch.nn.functional.cosine_similarity(x, y, dim=-1)


def cdist(x: Any, y: Any) -> Any:
    import torch

    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


CASES: list[Case] = [
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
