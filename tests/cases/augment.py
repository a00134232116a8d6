"""Rows of fjdl.augment that draw images anew between pixels, move boxes and masks with them, or mix examples.

A function `random_x` draws and calls `x`, which has the row; the laws of both are in `tests/augment/test_random.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fjdl.augment import (
    boxes,
    erasing,
    iou_crop,
    mix,
    mosaics,
    placing,
    plane,
    resize,
    sample,
    warp,
    window,
)
from tests.cases.case import Case, f32, i32, inputs, labels, normal, uniform
from tests.cases.oracles import augment as oracles

IMAGE = uniform(5, 6, 3)
SMALL = uniform(2, low=0.1, high=0.3)
LARGE = uniform(2, low=0.8, high=1.3)


def levels(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, 256, shape, dtype=np.uint8)


def flags(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: np.asarray(rng.uniform(size=shape) < 0.5)


def matrix(rng: np.random.Generator) -> np.ndarray:
    return np.array([[0.9, 0.3, 0.4], [-0.2, 1.1, 0.7]], np.float32) + rng.uniform(0, 0.05, (2, 3)).astype(np.float32)


def windows(*batch: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: np.concatenate([rng.integers(0, 3, (*batch, 2)), rng.integers(1, 4, (*batch, 2))], -1).astype(
        np.int32
    )


def box_array(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([rng.uniform(0, 2, (3, 2)), rng.uniform(3, 5, (3, 2))], -1).astype(np.float32)


def samples(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"image": BYTES(rng), "mask": labels(5, 6, classes=4)(rng), "boxes": box_array(rng)}


def batches(image: Callable[[np.random.Generator], np.ndarray]) -> Callable[[np.random.Generator], dict[str, Any]]:
    return lambda rng: {"image": image(rng), "label": labels(4, classes=3)(rng)}


def zooms(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([rng.uniform(-2, 2, 2), rng.uniform(2, 9, 2)]).astype(np.float32)


def scenes(rng: np.random.Generator) -> dict[str, np.ndarray]:
    each = [samples(rng) for _ in range(4)]
    return {name: np.stack([one[name] for one in each]) for name in each[0]}


def partner(rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(4).astype(np.int32)


GREY = np.full((5, 6, 3), 0.25, np.float32)
BYTES = levels(5, 6, 3)

CASES: list[Case] = [
    Case(
        partial(plane.rotation, size=oracles.SIZE),
        inputs(normal()),
        (0,),
        "float32",
        vmappable=False,
        oracle=oracles.turn,
    ),
    Case(
        plane.translation,
        inputs(normal(2)),
        (),
        "float32",
        vmappable=False,
        oracle=oracles.slid,
    ),
    Case(partial(plane.shearing, size=oracles.SIZE), inputs(SMALL), (), "float32", vmappable=False),
    Case(partial(plane.scaling, size=oracles.SIZE), inputs(LARGE), (), "float32", vmappable=False),
    Case(
        plane.compose,
        inputs(matrix, matrix),
        (),
        "float32",
        vmappable=False,
        oracle=lambda a, b: (oracles.square(a) @ oracles.square(b))[:2],
    ),
    Case(
        plane.inverse,
        inputs(matrix),
        (0,),
        "float32",
        oracle=lambda a: np.linalg.inv(oracles.square(a))[:2],
        edges=(((np.ones((2, 3), np.float32),), f32([0, 0, np.inf], [0, 0, np.inf])),),
    ),
    Case(
        warp.affine,
        inputs(IMAGE, matrix),
        (0, 1),
        oracle=oracles.moved,
        edges=(((GREY, np.ones((2, 3), np.float32)), np.zeros((5, 6, 3))),),
        errors=(((np.zeros((2, 2, 3), bool), np.eye(2, 3, dtype=np.float32)), "^bilinear sampling needs numbers"),),
    ),
    Case(partial(warp.affine, nearest=True), inputs(BYTES, matrix), result=None, vmappable=False, label="nearest"),
    Case(
        warp.rotate, inputs(IMAGE, normal()), vmappable=False, oracle=lambda x, by: oracles.moved(x, oracles.turn(by))
    ),
    Case(
        warp.translate,
        inputs(IMAGE, normal(2)),
        vmappable=False,
        oracle=lambda x, by: oracles.moved(x, oracles.slid(by)),
    ),
    Case(
        warp.shear,
        inputs(IMAGE, SMALL),
        vmappable=False,
        oracle=lambda x, by: oracles.moved(x, oracles.centred([1, by[1]], [by[0], 1])),
    ),
    Case(
        warp.scale,
        inputs(IMAGE, LARGE),
        vmappable=False,
        oracle=lambda x, by: oracles.moved(x, oracles.centred([by[1], 0], [0, by[0]])),
    ),
    Case(partial(window.covered, size=oracles.SIZE), inputs(windows()), result=None, vmappable=False),
    Case(partial(resize.resized_crop, size=(3, 7)), inputs(IMAGE, windows()), (0,), oracle=oracles.resized(True)),
    Case(
        partial(resize.resized_crop, size=(3, 7), antialias=False),
        inputs(IMAGE, windows()),
        vmappable=False,
        oracle=oracles.resized(False),
        label="sharp",
    ),
    Case(erasing.erase, inputs(IMAGE, windows(), uniform()), (0, 2), oracle=oracles.erased),
    Case(partial(erasing.cutout, length=3), inputs(IMAGE, lambda rng: i32(1, 5)), vmappable=False),
    Case(
        partial(mix.targets, classes=3),
        inputs(labels(4, classes=3)),
        result=None,
        vmappable=False,
        oracle=lambda y: np.eye(3)[y],
        edges=(((i32(-1, 2, 3, 0),), f32([np.nan] * 3, [0, 0, 1], [np.nan] * 3, [1, 0, 0])),),
    ),
    Case(
        partial(mix.mixup, classes=3),
        inputs(batches(uniform(4, 5, 6, 3)), partner, uniform(4)),
        (2,),
        None,
        vmappable=False,
        oracle=oracles.mixed,
    ),
    Case(
        partial(mix.cutmix, classes=3),
        inputs(batches(levels(4, 4, 8, 3)), partner, windows(4)),
        result=None,
        vmappable=False,
        oracle=oracles.pasted,
    ),
    Case(boxes.move_boxes, inputs(box_array, matrix), (0, 1), oracle=oracles.corners),
    Case(sample.affine_sample, inputs(samples, matrix), result=None),
    Case(
        placing.place,
        inputs(IMAGE, zooms),
        (0,),
        vmappable=False,
        edges=(((GREY, f32(0, 0, 5, 6)), GREY), ((GREY, f32(9, 9, 5, 6)), np.zeros((5, 6, 3)))),
        errors=(((np.zeros((2, 2, 3), bool), f32(0, 0, 2, 2)), "^bilinear sampling needs numbers"),),
    ),
    Case(placing.place_sample, inputs(samples, zooms), result=None),
    Case(
        partial(iou_crop.centred_crop_sample, size=(4, 3)),
        inputs(samples, windows()),
        result=None,
        vmappable=False,
    ),
    Case(
        mosaics.mosaic,
        inputs(
            scenes, lambda rng: rng.integers(0, 4, (4, 3), np.int32), lambda rng: rng.integers(0, 6, (4, 2), np.int32)
        ),
        result=None,
        vmappable=False,
    ),
    Case(
        oracles.moves,
        inputs(lambda rng: {**samples(rng), "image": IMAGE(rng)}, flags(), lambda rng: i32(1, 2), windows()),
        result=None,
        vmappable=False,
    ),
]
