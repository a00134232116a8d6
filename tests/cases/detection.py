"""Rows of what detectors need of fjdl.boxes: suppression, anchors, codes, matches."""

from functools import partial
from typing import Any

import jax
import numpy as np

from fjdl import boxes, functional
from tests.boxes import suppression
from tests.cases.boxes import boxes as corners
from tests.cases.case import Case, f32, i32, inputs, key, labels, normal, uniform


def _floats(function: Any, *arrays: Any) -> Any:
    """The function's leaves as floats of one dtype, as the laws compare them."""
    dtype = arrays[0].dtype
    return jax.tree.map(lambda leaf: leaf.astype(dtype), function(*arrays))


def _scene(n: int, *, images: int | None = None) -> Any:
    def make(rng: np.random.Generator) -> Any:
        scenes = [suppression.scene(rng, n) for _ in range(images or 1)]
        return tuple(np.stack(each) if images else each[0] for each in zip(*scenes, strict=True))

    return make


def _kept(function: Any, label: str) -> Case:
    return Case(partial(_floats, function), _scene(9), result="same", label=label)


def _matched(function: Any, label: str, *more: Any) -> Case:
    """A row of a function of overlaps between 3 objects, the last of them padding, and 6 anchors."""
    return Case(function, inputs(uniform(3, 6), lambda rng: np.arange(3) < 2, *more), result=None, label=label)


CELLS = labels(3, 2, classes=4)

CODES = [
    Case(
        partial(boxes.encode, weights=(10.0, 10.0, 5.0, 5.0)), inputs(corners(3), corners(3)), (0, 1), "float32",
        domain=None, edges=(((f32(2, 0, 4, 4), f32(0, 0, 4, 4)), f32(2.5, 0, -3.4657359, 0)),),
    ),
    Case(
        partial(boxes.decode, weights=(10.0, 10.0, 5.0, 5.0)), inputs(normal(3, 4), corners(3)), (0, 1), "float32",
        edges=(((f32(2.5, 0, -3.4657359, 0), f32(0, 0, 4, 4)), f32(2, 0, 4, 4)),),
    ),
    Case(partial(boxes.grid_cells, size=(3, 4), stride=0.5), inputs(corners(3)), result=None),
    Case(
        partial(boxes.encode_in_cell, stride=8.0, image=(16, 16)), inputs(corners(3), CELLS), (0,), "float32",
        domain=None, edges=(((f32(0, 0, 4, 16), i32(1, 0)), f32(0.25, 0, 0.5, 1)),),
    ),
    Case(
        partial(boxes.decode_in_cell, stride=8.0, image=(16, 16)), inputs(normal(3, 4), CELLS), (0,), "float32",
        edges=(((f32(0.25, 0, 0.5, 1), i32(1, 0)), f32(0, 0, 4, 16)),),
    ),
    Case(
        partial(boxes.encode_in_cell_by_shape, stride=4.0),
        inputs(corners(3), lambda rng: np.zeros((3, 2), np.int32), uniform(3, 2, low=1, high=4)), (0, 2), "float32",
        domain=None, edges=(((f32(1, 1, 3, 3), i32(0, 0), f32(2, 2)), f32(0, 0, 0, 0)),),
    ),
    Case(
        partial(boxes.decode_in_cell_by_shape, stride=4.0), inputs(normal(3, 4), CELLS, uniform(3, 2, low=1, high=4)),
        (0, 2), "float32", edges=(((f32(0, 0, 0, 0), i32(0, 0), f32(2, 2)), f32(1, 1, 3, 3)),),
    ),
]  # fmt: skip

MATCHES = [
    _matched(partial(boxes.match_by_threshold, low_quality=True), ""),
    _matched(boxes.match_bipartite, ""),
    Case(
        partial(boxes.sample_balanced, size=4), inputs(key, lambda rng: rng.integers(-2, 3, 9).astype(np.int32)),
        result=None,
    ),
    Case(
        partial(boxes.hard_negatives, ratio=1.5),
        inputs(uniform(9), lambda rng: rng.integers(-2, 2, 9).astype(np.int32)), result=None,
    ),
    Case(
        boxes.assign, inputs(normal(3, 5), lambda rng: rng.random(3) < 0.7, lambda rng: rng.random(5) < 0.7),
        result=None,
    ),
    Case(partial(boxes.grid_anchors, size=(2, 3), stride=8), inputs(uniform(2, 2)), (0,), "float32", vmappable=False),
]  # fmt: skip

REGIONS = [
    Case(
        partial(boxes.large_boxes, smallest=1.0), inputs(corners(5)), result=None,
        oracle=lambda b: (b[:, 2:] - b[:, :2] >= 1).all(1),
        edges=(((f32([0, 0, 1, 1], [0, 0, 1, 0.5], [0, 0, np.nan, 9]),), np.array([True, False, False])),),
        errors=(((f32(0, 0, 1),), "argument `boxes`"),),
    ),
    Case(
        boxes.mask_boxes, inputs(lambda rng: rng.random((3, 4, 5)) < 0.2), result=None,
        edges=(((np.zeros((2, 2), bool),), f32(0, 0, 0, 0)), ((i32([0, 0, 0], [0, 7, 7]),), f32(1, 1, 3, 2))),
    ),
    Case(partial(functional.roi_align, size=2, scale=2.0), inputs(normal(2, 4, 5, 2), corners(2, 3)), (0,)),
    Case(partial(functional.roi_pool, size=2, scale=2.0), inputs(normal(2, 4, 5, 2), corners(2, 3)), (0,)),
    Case(
        partial(boxes.pyramid_levels, canonical_size=0.5), inputs(corners(3)), result=None,
        edges=(((f32([0, 0, 0.5, 0.5], [0, 0, 2, 2], [1, 1, 1, 1], [np.nan, 0, 1, 1]),), i32(4, 5, 2, 2)),),
    ),
    Case(partial(boxes.window_crops, window=(2, 3), stride=2), inputs(normal(2, 4, 6, 1)), (0,)),
]  # fmt: skip

CASES: list[Case] = [
    *REGIONS,
    _kept(partial(boxes.nms, most=4), "nms"),
    _kept(partial(boxes.soft_nms_linear, most=4), "soft_nms_linear"),
    _kept(partial(boxes.soft_nms_gaussian, most=4), "soft_nms_gaussian"),
    Case(partial(_floats, partial(boxes.detections, most=3, candidates=6)), _scene(9, images=2), label="detections"),
    *CODES,
    *MATCHES,
    Case(
        partial(_floats, partial(boxes.class_detections, most=3, candidates=6)),
        inputs(lambda rng: _scene(5, images=2)(rng)[0], lambda rng: rng.random((2, 5, 2)).astype(np.float32)),
        label="class_detections",
    ),
]
