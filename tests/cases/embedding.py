"""Rows of positions and embeddings."""

from functools import partial
from typing import Any

import numpy as np

from fjdl import functional
from tests.cases.attention import on_numpy
from tests.cases.case import Case, f32, i32, inputs, key, labels, normal, of_torch

NAN = np.nan


def rotated(x: Any, positions: Any) -> Any:
    """Pairs as complex numbers."""
    angles = positions[..., None] / 100.0 ** (np.arange(0, x.shape[3], 2) / x.shape[3])
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)[:, :, None]
    return np.stack([turned.real, turned.imag], -1).reshape(x.shape)


def rotated_halves(x: Any, positions: Any) -> Any:
    order = np.arange(x.shape[3]).reshape(2, -1).T.ravel()
    return rotated(x[..., order], positions)[..., np.argsort(order)]


def torch_embedding(ids: Any, table: Any) -> Any:
    import torch

    return torch.nn.functional.embedding(ids, table)


def torch_embedding_bag(ids: Any, weights: Any, table: Any) -> Any:
    import torch

    return torch.nn.functional.embedding_bag(ids, table, mode="sum", per_sample_weights=weights)


def waves(positions: Any, features: int = 4) -> Any:
    angles = np.asarray(positions)[..., None] / 100.0 ** (np.arange(0, features, 2) / features)
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(*np.shape(positions), features)


CASES: list[Case] = [
    Case(
        partial(functional.rotary_interleaved, base=100.0),
        inputs(normal(2, 3, 2, 4), labels(2, 3, classes=9)),
        (0,),
        oracle=on_numpy(rotated),
        errors=(((np.ones((1, 1, 1, 3), np.float32),), "features must be even, got 3"),),
    ),
    Case(
        partial(functional.rotary_halves, base=100.0),
        inputs(normal(2, 3, 2, 4), labels(2, 3, classes=9)),
        (0,),
        oracle=on_numpy(rotated_halves),
        errors=(((np.ones((1, 1, 1, 3), np.float32),), "features must be even, got 3"),),
    ),
    Case(
        partial(functional.sinusoidal_positions, features=4, base=100.0),
        inputs(normal(2, 3)),
        (0,),
        "float32",
        oracle=waves,
    ),
    Case(
        functional.embedding,
        inputs(labels(2, 3, classes=5), normal(5, 4)),
        (1,),
        oracle=of_torch(torch_embedding),
        edges=(((i32(1, -1, 2, 0), f32([1], [2])), f32([2], [NAN], [NAN], [1])),),
    ),
    Case(
        functional.embedding_bag,
        inputs(labels(2, 3, classes=5), normal(2, 3), normal(5, 4)),
        (1, 2),
        oracle=of_torch(torch_embedding_bag),
        edges=(
            ((i32([1, 0, -1]), f32([2, 1, 0]), f32([1], [3])), f32([7])),
            ((i32([1, 2]), f32([1, 1]), f32([1], [3])), f32([NAN])),
            ((np.zeros((2, 0), np.int32), np.zeros((2, 0), np.float32), f32([1], [3])), f32([0], [0])),
        ),
    ),
    Case(functional.tied_logits, inputs(normal(2, 3, 4), normal(5, 4)), (0, 1), oracle=lambda h, table: h @ table.T),
    Case(partial(functional.embedding_dropout, rate=0.4), inputs(key, normal(5, 4)), (1,)),
    Case(partial(functional.word_dropout, rate=0.4, unknown=0), inputs(key, labels(2, 3, classes=5)), result=None),
]
