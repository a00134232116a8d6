"""Rows of the losses of masks, boxes, embeddings and sequences in fjdl.losses."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fjdl.losses import boxes, contrastive, ctc, embedding, segmentation, sequence, triplet
from tests.cases.boxes import APART, INVERTED, POINT, TWICE, UNIT, boxes as random_boxes
from tests.cases.case import Case, f32, i32, inputs, labels, normal, of_torch, uniform

INF, NAN = np.inf, np.nan
COLUMN, ROW = np.zeros((3, 1), np.float32), np.zeros(3, np.float32)


def one_hot(*shape: int, classes: int) -> Any:
    return lambda rng: np.eye(classes, dtype=np.float32)[rng.integers(0, classes, shape)]


def _torch(name: str, *args: Any, **options: Any) -> Any:
    from tests.losses import oracles

    return of_torch(lambda *arrays: getattr(oracles, name)(*arrays, *args, **options))


def _per_image(index: Any) -> Any:
    """One minus the mean over classes of an index of pixels, for a batch of images."""

    def call(p: Any, t: Any) -> Any:
        import torch

        return torch.stack([1 - index(a.flatten(0, 1), b.flatten(0, 1)).nanmean() for a, b in zip(p, t, strict=True)])

    return of_torch(call)


def _tversky(p: Any, t: Any, *options: Any) -> Any:
    from tests.losses.oracles import tversky

    return tversky(p, t, *options)


def _dice(p: Any, t: Any) -> Any:
    from tests.losses.oracles import dice

    return dice(p, t, 0.5)


def _focal(p: Any, t: Any) -> Any:
    return 1 - (1 - _tversky(p, t, 0.3, 0.7)) ** 0.75


def _triplet(**options: Any) -> Any:
    def call(a: Any, p: Any, n: Any) -> Any:
        import torch

        return torch.nn.functional.triplet_margin_loss(a, p, n, eps=0, reduction="none", **options)

    return of_torch(call)


def _boxes(name: str) -> Any:
    from tests.boxes import oracles

    return of_torch(lambda a, b: 1 - getattr(oracles, name)(a, b))


def _localization(logits: Any, a: Any, y: Any, b: Any) -> Any:
    import torch

    return torch.nn.functional.cross_entropy(logits, y, reduction="none") + 2 * ((a - b) ** 2).sum(-1)


IMAGES = inputs(uniform(2, 2, 2, 3, low=0.1, high=0.9), one_hot(2, 2, 2, classes=3))
EMPTY = (np.zeros((1, 1, 2), np.float32), np.zeros((1, 1, 2), np.float32))
PERFECT = (f32([[0, 1]]), f32([[0, 1]]))
HALF = (f32([[0.5, 0.5]]), f32([[0, 1]]))
WRONG_SHAPES = ((np.zeros((2, 2, 2, 1), np.float32), np.zeros((2, 2, 2), np.float32)), "argument `targets`")

SEGMENTATION = [
    Case(
        partial(segmentation.dice_loss, smooth=0.5), IMAGES, (0, 1), "float32", domain=(0, 1),
        oracle=_per_image(_dice), edges=((EMPTY, 0.0), ((PERFECT[0][None], PERFECT[1][None]), 0.0)),
        errors=(WRONG_SHAPES, ((ROW[None], ROW[None]), r"^space must lie in \[0, 1\], .*, got 2$")),
    ),
    Case(
        segmentation.jaccard_loss, IMAGES, (0, 1), "float32", domain=(0, 1),
        oracle=_per_image(lambda p, t: _tversky(p, t, 1.0, 1.0)),
        edges=((EMPTY, 0.0), ((HALF[0][None], HALF[1][None]), 0.75)), errors=(WRONG_SHAPES,),
    ),
    Case(
        partial(segmentation.tversky_loss, alpha=0.2, beta=0.9, smooth=0.1), IMAGES, (0, 1), "float32", domain=(0, 1),
        oracle=_per_image(lambda p, t: _tversky(p, t, 0.2, 0.9, 0.1)), edges=((EMPTY, 0.0),), errors=(WRONG_SHAPES,),
    ),
    Case(
        segmentation.focal_tversky_loss, IMAGES, (0, 1), "float32", domain=(0, 1), oracle=_per_image(_focal),
        edges=((EMPTY, 0.0), ((PERFECT[0][None], PERFECT[1][None]), 0.0)), errors=(WRONG_SHAPES,),
    ),
]  # fmt: skip

PAIRS = inputs(random_boxes(3), random_boxes(3))
BOXES = [  # gradients of the overlaps are those of their own rows
    Case(
        boxes.iou_loss, PAIRS, (), "float32", oracle=_boxes("iou"),
        edges=(((UNIT, TWICE), 0.5), ((UNIT, APART), 1.0), ((POINT, POINT), 1.0), ((INVERTED, UNIT), 1.0)),
    ),
    Case(
        boxes.log_iou_loss, PAIRS, (0, 1), "float32",
        oracle=lambda a, b: -np.log(1 - _boxes("iou")(a, b)),
        edges=(((UNIT, UNIT), 0.0), ((UNIT, TWICE), np.log(2)), ((UNIT, APART), INF), ((POINT, POINT), INF)),
    ),
    Case(boxes.giou_loss, PAIRS, (), "float32", oracle=_boxes("giou"), edges=(((UNIT, APART), 4 / 3),)),
    Case(boxes.diou_loss, PAIRS, (), "float32", oracle=_boxes("diou"), edges=(((UNIT, APART), 1.4),)),
    Case(boxes.ciou_loss, PAIRS, (), "float32", oracle=_boxes("ciou"), edges=(((UNIT, APART), 1.4),)),
    Case(
        boxes.box_l2_loss, inputs(normal(3, 4), normal(3, 4)), (0, 1), "float32",
        oracle=lambda a, b: ((a - b) ** 2).sum(-1), edges=(((UNIT, TWICE), 1.0),),
        errors=(((COLUMN, UNIT), "argument `boxes`"),),
    ),
    Case(
        partial(boxes.localization_loss, box_weight=2.0),
        inputs(normal(3, 5), normal(3, 4), labels(3, classes=5), normal(3, 4)), (0, 1, 3), "float32",
        oracle=of_torch(_localization),
        errors=(((np.zeros((1, 5), np.float32), UNIT[None], i32([0]), UNIT[None]), "argument `labels`"),),
    ),
]  # fmt: skip

VECTORS = inputs(normal(3, 4), normal(3, 4), normal(3, 4))
SIMILARITIES = [
    Case(
        partial(triplet.triplet_margin_loss, margin=4.0), VECTORS, (0, 1, 2), "float32", oracle=_triplet(margin=4.0),
        edges=(((ROW, ROW, ROW), 4.0), ((ROW, ROW, ROW + 9), 0.0), ((ROW, f32(NAN, 0, 0), ROW), NAN)),
        errors=(((COLUMN, ROW, ROW), "argument `positive`"),),
    ),
    Case(
        partial(triplet.triplet_margin_loss, margin=6.0, p=3.0), VECTORS, (0, 1, 2), "float32", label="p3",
        oracle=_triplet(margin=6.0, p=3.0), edges=(((ROW, ROW, ROW), 6.0),), vmappable=False,
    ),
    Case(triplet.hard_triplets, inputs(normal(6, 3), labels(6, classes=2)), result=None),
    Case(triplet.semi_hard_triplets, inputs(normal(6, 3), labels(6, classes=2)), result=None),
    Case(
        contrastive.contrastive_loss, inputs(normal(3, 4), normal(3, 4), lambda rng: rng.random(3) < 0.5), (0, 1),
        "float32", edges=(
            ((ROW, ROW, np.bool_(True)), 0.0), ((ROW, ROW, np.bool_(False)), 0.5),
            ((ROW, f32(0, 0.6, 0.8), np.bool_(True)), 0.5), ((ROW, f32(0, 0.3, 0.4), np.bool_(False)), 0.125),
            ((ROW, f32(0, 0.6, 0.8), np.bool_(False)), 0.0),
        ),
        errors=(((COLUMN, COLUMN, np.ones((3, 1), bool)), "argument `same`"),),
    ),
    Case(
        contrastive.nt_xent_loss, inputs(normal(3, 4), normal(3, 4)), (0, 1), "float32",
        oracle=_torch("nt_xent", 0.5), edges=(((f32([1, 2]), f32([3, 4])), f32(0)),),
        errors=(((COLUMN, ROW[None]), "argument `b`"),),
    ),
    Case(
        contrastive.supervised_contrastive_loss, inputs(normal(5, 4), labels(5, classes=2)), (0,), "float32",
        oracle=_torch("supervised_contrastive", 0.1),
        edges=(((f32([1, 2]), i32(0)), f32(0)), ((f32([1, 2], [3, 4]), i32(0, 1)), f32(0, 0))),
        errors=(((COLUMN, i32([0], [1], [2])), "argument `labels`"),),
    ),
    Case(
        contrastive.has_positive, inputs(labels(5, classes=3)), result=None,
        edges=(((i32(1, 2, 1, -1),), np.array([True, False, True, False])), ((i32(3),), np.array([False]))),
    ),
]  # fmt: skip


def _steps(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(4, 6, 2).astype(np.int32)


def _symbols(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(1, 4, (2, 2)).astype(np.int32)


def _ctc(*arrays: Any) -> Any:
    from tests.losses.oracles import ctc

    return ctc(*arrays)


SEQUENCES = [
    Case(
        sequence.sequence_loss, inputs(normal(3, 4), labels(3, classes=6)), (0,), "float32",
        oracle=lambda x, n: np.stack([row[:k].sum() for row, k in zip(x, n, strict=True)]),
        edges=(((f32(1, 2, NAN), i32(2).reshape(())), 3.0), ((f32(NAN, INF), i32(0).reshape(())), 0.0),
               ((f32(1, 2), i32(7).reshape(())), 3.0), ((f32(1, 2), i32(-1).reshape(())), 0.0)),
        errors=(((COLUMN, i32([1], [1], [1])), "argument `lengths`"),),
    ),
    Case(
        partial(sequence.sequence_loss, average=True), inputs(normal(3, 4), labels(3, classes=6)), (0,), "float32",
        label="average", vmappable=False,
        edges=(((f32(1, 2, NAN), i32(2).reshape(())), 1.5), ((f32(NAN, INF), i32(0).reshape(())), 0.0)),
    ),
    Case(
        ctc.ctc_loss, inputs(normal(2, 5, 4), _steps, _symbols, lambda rng: i32(2, 1)), (0,), "float32",
        oracle=of_torch(_ctc), errors=(
            ((np.zeros((2, 5, 4), np.float32), i32(5, 5), i32([1], [1]), i32([1], [1])), "argument `label_lengths`"),
        ),
    ),
]  # fmt: skip


def drawn_mask(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.random(shape) < 0.6


def cbow(contexts: Any, counted: Any, center: Any, negatives: Any) -> Any:
    """The loss of the mean of what is counted."""
    counted = np.asarray(counted)
    hidden = (contexts * counted[..., None]).sum(-2) / np.maximum(counted.sum(-1, keepdims=True), 1)
    hit, misses = np.sum(hidden * center, -1), np.einsum("bd,bnd->bn", hidden, negatives)
    return np.logaddexp(0, -hit) + np.logaddexp(0, misses).sum(-1)


EMBEDDINGS = [
    Case(
        embedding.cbow_negative_sampling_loss,
        inputs(normal(3, 5, 4), drawn_mask(3, 5), normal(3, 4), normal(3, 2, 4)), (0, 2, 3), "float32", oracle=cbow,
        edges=(
            ((f32([1, 0, 0], [np.nan] * 3), np.array([True, False]), ROW, COLUMN.T), 2 * np.log(2)),
            ((f32([1, 2, 3], [4, 5, 6]), np.array([False, False]), ROW, COLUMN.T), 2 * np.log(2)),
        ),
        errors=(((COLUMN, np.ones((1, 2), bool), ROW, COLUMN), "argument `"),),
    ),
    Case(
        embedding.skipgram_negative_sampling_loss, inputs(normal(3, 4), normal(3, 4), normal(3, 2, 4)), (0, 1, 2),
        "float32",
        oracle=lambda c, o, n: (
            np.logaddexp(0, -np.sum(c * o, -1)) + np.logaddexp(0, np.einsum("bd,bnd->bn", c, n)).sum(-1)
        ),
        edges=(((ROW, ROW, COLUMN.T), 2 * np.log(2)), ((ROW, ROW, np.zeros((0, 3), np.float32)), np.log(2))),
        errors=(((COLUMN, ROW, COLUMN), "argument `context`"),),
    ),
    Case(
        embedding.glove_loss,
        inputs(normal(3, 4), normal(3, 4), normal(3), normal(3), uniform(3, low=1, high=200)), (0, 1, 2, 3), "float32",
        oracle=lambda w, v, b, c, x: np.minimum(1, x / 100) ** 0.75 * (np.sum(w * v, -1) + b + c - np.log(x)) ** 2,
        edges=(
            ((f32(1, 2), f32(3, 4), f32(1)[0], f32(2)[0], i32(0)[0]), 0.0),
            ((f32(1, 2), f32(3, 4), f32(1)[0], f32(2)[0], i32(1)[0]), 14**2 / 100**0.75),
        ),
        errors=(((COLUMN, COLUMN, COLUMN, ROW, ROW), "argument `b`"),),
    ),
]  # fmt: skip

CASES: list[Case] = [*SEGMENTATION, *BOXES, *SIMILARITIES, *SEQUENCES, *EMBEDDINGS]
