"""Rows of fjdl.boxes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fjdl.boxes import convert, overlap
from tests.cases.case import Case, f32, inputs, normal, uniform


def boxes(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Boxes in corner format with sides of about 1, many of which overlap."""

    def make(rng: np.random.Generator) -> np.ndarray:
        low, size = rng.uniform(0, 1, (*shape, 2)), rng.uniform(0.5, 1.5, (*shape, 2))
        return np.concatenate([low, low + size], -1).astype(np.float32)

    return make


def _oracle(name: str, *, pairwise: bool = False) -> Any:
    def call(*arrays: np.ndarray) -> np.ndarray:
        import torch

        from tests.boxes import oracles

        tensors = [torch.tensor(x, dtype=torch.float64) for x in arrays]
        if pairwise:
            tensors = [tensors[0][:, None], tensors[1][None]]
        return getattr(oracles, name)(*tensors).numpy()

    return call


UNIT, TWICE, APART = f32(0, 0, 1, 1), f32(0, 0, 2, 1), f32(2, 0, 3, 1)
POINT, INVERTED = f32(5, 5, 5, 5), f32(1, 1, 0, 0)
COLUMN = np.zeros((4, 1), np.float32)

OVERLAPS = [
    Case(
        overlap.iou, inputs(boxes(3), boxes(3)), (0, 1), "float32", oracle=_oracle("iou"),
        edges=(
            ((UNIT, UNIT), 1.0), ((UNIT, TWICE), 0.5), ((UNIT, APART), 0.0), ((POINT, POINT), 0.0),
            ((POINT, UNIT), 0.0), ((INVERTED, UNIT), 0.0), ((UNIT, f32(1, 0, 2, 1)), 0.0),
            ((f32(np.nan, 0, 1, 1), UNIT), np.nan),
        ),
        errors=(((UNIT, f32(0, 0, 1)), "argument `b`"), ((COLUMN, UNIT), "argument `a`")),
    ),
    Case(
        overlap.giou, inputs(boxes(3), boxes(3)), (0, 1), "float32", oracle=_oracle("giou"),
        edges=(
            ((UNIT, UNIT), 1.0), ((UNIT, TWICE), 0.5), ((UNIT, APART), -1 / 3), ((POINT, POINT), 0.0),
            ((POINT, f32(0, 0, 0, 0)), -1.0), ((POINT, UNIT), -24 / 25), ((INVERTED, UNIT), 0.0),
            ((INVERTED, INVERTED), -1.0),
        ),
    ),
    Case(
        overlap.diou, inputs(boxes(3), boxes(3)), (0, 1), "float32", oracle=_oracle("diou"),
        edges=(
            ((UNIT, UNIT), 1.0), ((UNIT, TWICE), 0.45), ((UNIT, APART), -0.4), ((POINT, POINT), 0.0),
            ((POINT, f32(0, 0, 0, 0)), -1.0), ((INVERTED, UNIT), 0.0),
        ),
    ),
    Case(  # alpha is constant in the gradient, which so differs from finite differences
        overlap.ciou, inputs(boxes(3), boxes(3)), (), "float32", oracle=_oracle("ciou"),
        edges=(((UNIT, UNIT), 1.0), ((UNIT, APART), -0.4), ((POINT, POINT), 0.0), ((POINT, f32(0, 0, 0, 0)), -1.0)),
    ),
]  # fmt: skip

CASES: list[Case] = [
    Case(
        convert.from_center_size, inputs(normal(3, 4)), (0,),
        oracle=lambda b: np.stack([b[:, 0] - b[:, 2] / 2, b[:, 1] - b[:, 3] / 2,
                                   b[:, 0] + b[:, 2] / 2, b[:, 1] + b[:, 3] / 2], -1),
        edges=(((f32(5, 4, 2, 6),), f32(4, 1, 6, 7)),), errors=(((COLUMN,), "argument `boxes`"),),
    ),
    Case(
        convert.to_center_size, inputs(boxes(3)), (0,),
        oracle=lambda b: np.stack([(b[:, 0] + b[:, 2]) / 2, (b[:, 1] + b[:, 3]) / 2,
                                   b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]], -1),
        edges=(((f32(4, 1, 6, 7),), f32(5, 4, 2, 6)), ((INVERTED,), f32(0.5, 0.5, -1, -1))),
    ),
    Case(
        convert.from_corner_size, inputs(normal(3, 4)), (0,),
        oracle=lambda b: np.stack([b[:, 0], b[:, 1], b[:, 0] + b[:, 2], b[:, 1] + b[:, 3]], -1),
        edges=(((f32(4, 1, 2, 6),), f32(4, 1, 6, 7)),),
    ),
    Case(
        convert.to_corner_size, inputs(boxes(3)), (0,),
        oracle=lambda b: np.stack([b[:, 0], b[:, 1], b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]], -1),
        edges=(((f32(4, 1, 6, 7),), f32(4, 1, 2, 6)),),
    ),
    Case(
        partial(convert.clip_to_image, height=2, width=1), inputs(uniform(3, 4, low=-4, high=4)), (0,),
        oracle=lambda b: np.clip(b, 0, [1, 2, 1, 2]),
        edges=(((f32(-1, -1, 3, 3),), f32(0, 0, 1, 2)), ((f32(5, 5, 6, 6),), f32(1, 2, 1, 2)),
               ((f32(np.nan, 0, 1, 1),), f32(np.nan, 0, 1, 1))),
    ),
    Case(
        overlap.area, inputs(boxes(3)), (0,), "float32", oracle=_oracle("area"),
        edges=(((TWICE,), 2.0), ((POINT,), 0.0), ((INVERTED,), 0.0), ((f32(0, 0, -2, 3),), 0.0),
               ((f32(0, np.nan, 1, 1),), np.nan)),
    ),
    Case(
        overlap.intersection, inputs(boxes(3), boxes(3)), (0, 1), "float32", oracle=_oracle("intersection"),
        edges=(((UNIT, TWICE), 1.0), ((UNIT, APART), 0.0), ((INVERTED, UNIT), 0.0)),
    ),
    *OVERLAPS,
    Case(overlap.pairwise_iou, inputs(boxes(3), boxes(2)), (0, 1), "float32", oracle=_oracle("iou", pairwise=True)),
    Case(overlap.pairwise_giou, inputs(boxes(3), boxes(2)), (), "float32", oracle=_oracle("giou", pairwise=True)),
    Case(overlap.pairwise_diou, inputs(boxes(3), boxes(2)), (), "float32", oracle=_oracle("diou", pairwise=True)),
    Case(overlap.pairwise_ciou, inputs(boxes(3), boxes(2)), (), "float32", oracle=_oracle("ciou", pairwise=True)),
]  # fmt: skip
