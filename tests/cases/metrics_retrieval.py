"""Rows of fjdl.metrics for retrieval."""

from functools import partial
from typing import Any

import numpy as np

from fjdl import metrics
from tests.cases.case import Case, f32, i32, inputs, labels
from tests.metrics.retrieval.oracles import of_embeddings, of_neighbours

NAN = np.nan
NOTHING = [f32(NAN, NAN), f32(NAN, NAN), NAN, NAN, NAN]


def directions(n: int) -> Any:
    """Vectors of different directions in whole numbers, which bfloat16 holds."""

    def draw(rng: np.random.Generator) -> Any:
        angle = np.pi * (rng.permutation(n) + 0.5) / n
        return np.round(64 * np.stack([np.cos(angle), np.sin(angle)], 1)).astype(np.float32)

    return draw


def nearest(rng: np.random.Generator) -> Any:
    return rng.integers(0, 3, (7, 6)).astype(np.int32)


CASES: list[Case] = [
    Case(
        partial(metrics.measure, metrics.neighbour_retrieval(ks=(1, 3))),
        inputs(nearest, labels(7, classes=3), labels(7, classes=6)), result=None, label="neighbour_retrieval",
        oracle=partial(of_neighbours, ks=(1, 3)),
        edges=(((i32([0, 1]), i32(0), i32(0)), NOTHING),
               ((i32([0, 1]), i32(0), i32(3)), [f32(1, 1), f32(1, 1 / 3), NAN, NAN, 1])),
    ),
    Case(
        partial(metrics.embedding_retrieval, ks=(1, 4), block=4), inputs(directions(9), labels(9, classes=3)),
        result="float32", oracle=partial(of_embeddings, ks=(1, 4)),
        edges=(((f32([1, 0]), i32(3)), NOTHING), ((f32([1, 0], [0, 1]), i32(3, 4)), NOTHING),
               ((f32([1, 0], [NAN, 1]), i32(3, 3)), NOTHING)),
        errors=(((f32([1, 0]), i32(3), f32([1, 0])), "gallery and gallery_labels must be given together"),),
    ),
    Case(
        partial(metrics.measure, metrics.collected_retrieval(2, capacity=11, ks=(1, 4), block=4)),
        inputs(directions(9), labels(9, classes=3)), result="float32", label="collected_retrieval",
        oracle=partial(of_embeddings, ks=(1, 4)), edges=(((f32([1, 0]), i32(3)), NOTHING),),
    ),
    Case(
        partial(metrics.embedding_retrieval, ks=(1, 4)),
        inputs(directions(4), labels(4, classes=3), directions(7), labels(7, classes=3)), result="float32",
        label="gallery", oracle=partial(of_embeddings, ks=(1, 4)),
    ),
]  # fmt: skip
