"""Rows of fjdl.augment.

A function `random_x` draws and calls `x`, which has the row; the laws of both are in `tests/augment/test_random.py`.
"""

import colorsys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage

from fjdl.augment import (
    blur,
    boxes,
    color,
    cropping,
    distort,
    erasing,
    geometry,
    mix,
    noise,
    pixels,
    plane,
    resize,
    sample,
    tone,
    warp,
    window,
)
from tests.cases.case import Case, f32, i32, inputs, key, labels, normal, of_torch, uniform

IMAGE = uniform(5, 6, 3)
FACTOR = uniform(low=0.4, high=1.6)
SMALL = uniform(2, low=0.1, high=0.3)
LARGE = uniform(2, low=0.8, high=1.3)
SIZE = (5, 6)
LUMA = np.array([0.299, 0.587, 0.114])


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


def partner(rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(4).astype(np.int32)


def pillow(change: str) -> Callable[..., np.ndarray]:
    def call(image: np.ndarray, *amounts: Any) -> np.ndarray:
        from PIL import Image, ImageOps

        return np.asarray(getattr(ImageOps, change)(Image.fromarray(np.asarray(image)), *map(int, amounts)))

    return call


def blended(base: Callable[[np.ndarray], Any]) -> Callable[..., np.ndarray]:
    return lambda image, factor: np.clip(base(image) + factor * (image - base(image)), 0, 1)


def grey(image: np.ndarray) -> np.ndarray:
    return (image @ LUMA)[..., None]


def smoothed(image: np.ndarray) -> np.ndarray:
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]])[..., None] / 13
    inner = ndimage.convolve(image, kernel)
    inner[0], inner[-1], inner[:, 0], inner[:, -1] = image[0], image[-1], image[:, 0], image[:, -1]
    return inner


def turned(image: np.ndarray, turns: float) -> np.ndarray:
    hsv = [colorsys.rgb_to_hsv(*map(float, pixel)) for pixel in image.reshape(-1, 3)]
    return np.array([colorsys.hsv_to_rgb((h + turns) % 1, s, v) for h, s, v in hsv]).reshape(image.shape)


def blurred(image: np.ndarray, sigma: Any) -> np.ndarray:
    return ndimage.gaussian_filter(image, (float(sigma), float(sigma), 0), radius=(2, 2, 0))


def moved(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """By SciPy, which wants the inverse map from (row, column) to (row, column) of pixel centres."""
    back = np.linalg.inv(matrix[:, :2])[::-1, ::-1]
    start = back @ (0.5 - matrix[::-1, 2]) - 0.5
    channels = [ndimage.affine_transform(image[..., c], back, start, order=1, mode="grid-constant") for c in range(3)]
    return np.stack(channels, axis=-1)


def bent(image: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    places = np.indices((5, 6)) + np.moveaxis(displacement, -1, 0)
    channels = [ndimage.map_coordinates(image[..., c], places, order=1, mode="grid-constant") for c in range(3)]
    return np.stack(channels, axis=-1)


def square(matrix: np.ndarray) -> np.ndarray:
    return np.concatenate([matrix, [[0, 0, 1]]])


def turn(degrees: Any) -> np.ndarray:
    """Counter-clockwise on a screen whose y goes down: the top goes to the left."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return centred([c, s], [-s, c])


def centred(*rows: list[float]) -> np.ndarray:
    linear, centre = np.array(rows, np.float64), np.array([3.0, 2.5])
    return np.concatenate([linear, (centre - linear @ centre)[:, None]], axis=1)


def slid(offset: np.ndarray) -> np.ndarray:
    return np.array([[1, 0, offset[1]], [0, 1, offset[0]]])


def resized(antialias: bool) -> Callable[..., np.ndarray]:
    def call(image: Any, window: Any) -> Any:
        from torch.nn.functional import interpolate

        top, left, height, width = window.tolist()
        part = image[top : top + height, left : left + width].permute(2, 0, 1)[None]
        return interpolate(part, (3, 7), mode="bilinear", align_corners=False, antialias=antialias)[0].permute(1, 2, 0)

    return of_torch(call)


def corners(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    points = boxes[:, [[0, 1], [0, 3], [2, 1], [2, 3]]] @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)


def mixed(batch: dict[str, np.ndarray], partner: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    hot, image, weight = np.eye(3)[batch["label"]], batch["image"], np.asarray(weight)
    w = weight[:, None, None, None]
    target = weight[:, None] * hot + (1 - weight[:, None]) * hot[partner]
    return {**batch, "image": w * image + (1 - w) * image[partner], "target": target}


def pasted(batch: dict[str, np.ndarray], partner: np.ndarray, windows: np.ndarray) -> dict[str, np.ndarray]:
    image, target = np.array(batch["image"]), np.eye(3)[batch["label"]]
    for i, (top, left, height, width) in enumerate(np.asarray(windows)):
        place = slice(top, top + height), slice(left, left + width)
        image[i][place] = batch["image"][partner[i]][place]
        part = min(height, 4 - top) * min(width, 8 - left) / 32
        target[i] = (1 - part) * target[i] + part * np.eye(3)[batch["label"][partner[i]]]
    return {**batch, "image": image, "target": target}


def erased(image: np.ndarray, window: np.ndarray, value: np.ndarray) -> np.ndarray:
    image, (top, left, height, width) = image.copy(), window
    image[top : top + height, left : left + width] = value
    return image


def moves(given: dict[str, Any], flip: Any, start: Any, window: Any) -> list[dict[str, Any]]:
    return [
        sample.mirror_sample(given, flip),
        sample.flip_vertical_sample(given, flip),
        sample.crop_sample(given, start, size=(3, 4)),
        sample.resized_crop_sample(given, window, size=(3, 7)),
        sample.centre_crop_sample(given, size=(3, 4)),
        sample.rot90_sample(given, 1),
        sample.elastic_sample(given, np.full((5, 6, 2), 0.75, np.float32)),
    ]


UNIT: dict[str, Any] = {"differentiable": (0, 1), "domain": (0.0, 1.0)}
NEGATIVE = (((np.zeros((2, 2, 3), np.float32), -0.5), "^factor must not be negative, got -0.5$"),)
CHANNELS = (((np.zeros((2, 2, 4), np.float32), 0.5), "^image must have 1 or 3 channels, got 4$"),)
GREY = np.full((5, 6, 3), 0.25, np.float32)
RED, GREEN = (np.broadcast_to(f32(*np.eye(3)[i]), (5, 6, 3)) for i in (0, 1))
BYTES = levels(5, 6, 3)

CASES: list[Case] = [
    Case(partial(geometry.shift, most=3), inputs(BYTES, lambda rng: i32(2, -1)), result=None, vmappable=False),
    Case(geometry.mirror, inputs(BYTES, flags()), result=None),
    Case(geometry.flip_vertical, inputs(BYTES, flags()), result=None, vmappable=False),
    Case(
        geometry.alternating_flip,
        inputs(key, BYTES, lambda rng: i32(1)[0], lambda rng: i32(7)[0]),
        result=None,
        vmappable=False,
    ),
    Case(
        partial(cropping.crop, size=(3, 4)),
        inputs(BYTES, lambda rng: i32(1, 2)),
        result=None,
        oracle=lambda x, _: x[1:4, 2:6],
    ),
    Case(
        partial(cropping.pad, padding=2, fill=0.5),
        inputs(IMAGE),
        vmappable=False,
        oracle=lambda x: np.pad(x, ((2, 2), (2, 2), (0, 0)), constant_values=0.5),
    ),
    Case(partial(cropping.random_crop, size=(5, 6), padding=4), inputs(key, BYTES), result=None),
    Case(partial(geometry.rot90, quarters=3), inputs(IMAGE), (), vmappable=False, oracle=lambda x: np.rot90(x, 3)),
    Case(
        geometry.rot90,
        inputs(levels(4, 4, 3), lambda rng: i32(5)[0]),
        result=None,
        oracle=lambda x, _: np.rot90(x),
        label="traced",
    ),
    Case(partial(cropping.centre_crop, size=(2, 3)), inputs(IMAGE), vmappable=False, oracle=lambda x: x[1:3, 1:4]),
    Case(
        distort.elastic,
        inputs(IMAGE, lambda rng: rng.uniform(-2, 2, (5, 6, 2)).astype(np.float32)),
        (0, 1),
        oracle=bent,
        domain=(-100.0, 100.0),
        errors=(((np.zeros((2, 2, 3), bool), np.zeros((2, 2, 2), np.float32)), "^bilinear sampling needs numbers"),),
    ),
    Case(
        partial(distort.random_displacement, size=(5, 6), alpha=2.0, sigma=1.0),
        inputs(key),
        result=None,
        vmappable=False,
    ),
    Case(
        tone.gamma,
        inputs(uniform(5, 6, 3, low=0.05, high=0.95), FACTOR),
        **UNIT,
        oracle=np.power,
        edges=(
            ((f32(0, 0.25, 1).reshape(1, 3, 1), f32(0.5)[0]), f32(0, 0.5, 1).reshape(1, 3, 1)),
            ((f32(0, 0.25, 1).reshape(1, 3, 1), f32(0)[0]), np.ones((1, 3, 1))),
            ((f32(-1, 0.25, 2).reshape(1, 3, 1), f32(1)[0]), f32(0, 0.25, 1).reshape(1, 3, 1)),
        ),
        errors=(((np.zeros((2, 2, 3), np.float32), -0.5), "^exponent must be finite and not negative, got -0.5$"),),
    ),
    Case(pixels.luma, inputs(IMAGE), (), "float32", vmappable=False, oracle=grey),
    Case(color.blend, inputs(uniform(5, 6, 1), IMAGE, FACTOR), (0, 1, 2), domain=(0.0, 1.0)),
    Case(color.brightness, inputs(IMAGE, FACTOR), vmappable=False, oracle=blended(lambda x: 0.0), errors=NEGATIVE),
    Case(
        color.contrast,
        inputs(IMAGE, FACTOR),
        **UNIT,
        oracle=blended(lambda x: np.mean(x @ LUMA)),
        edges=(((GREY, f32(9.0)[0]), GREY),),
        errors=NEGATIVE + CHANNELS,
    ),
    Case(
        color.saturation,
        inputs(IMAGE, FACTOR),
        **UNIT,
        vmappable=False,
        oracle=blended(grey),
        errors=NEGATIVE + CHANNELS,
    ),
    Case(
        color.hue,
        inputs(IMAGE, FACTOR),
        **UNIT,
        oracle=turned,
        edges=(((GREY, f32(0.3)[0]), GREY), ((RED, f32(1 / 3)[0]), GREEN)),
        errors=CHANNELS,
    ),
    Case(color.grayscale, inputs(BYTES, flags()), result=None, vmappable=False),
    Case(tone.invert, inputs(IMAGE), vmappable=False, oracle=lambda x: 1 - x),
    Case(
        tone.solarize, inputs(BYTES, lambda rng: f32(130)[0]), result=None, vmappable=False, oracle=pillow("solarize")
    ),
    Case(
        tone.posterize, inputs(BYTES, lambda rng: i32(3)[0]), result=None, vmappable=False, oracle=pillow("posterize")
    ),
    Case(
        tone.autocontrast,
        inputs(IMAGE),
        (0,),
        domain=(0.0, 1.0),
        oracle=lambda x: (x - x.min((0, 1))) / (x.max((0, 1)) - x.min((0, 1))),
        edges=(((GREY,), GREY),),
    ),
    Case(tone.equalize, inputs(levels(20, 20, 3)), result=None, oracle=pillow("equalize")),
    Case(tone.sharpness, inputs(IMAGE, FACTOR), **UNIT, oracle=blended(smoothed), errors=NEGATIVE),
    Case(
        partial(blur.gaussian_blur, radius=2),
        inputs(IMAGE, FACTOR),
        (0, 1),
        domain=(0.0, 2.0),
        oracle=blurred,
        errors=(((np.zeros((2, 2, 3), np.float32), -1.0), r"^sigma must not be negative, got -1.0$"),),
    ),
    Case(noise.add_noise, inputs(IMAGE, normal(5, 6, 3)), vmappable=False, oracle=lambda x, y: np.clip(x + y, 0, 1)),
    Case(noise.salt_and_pepper, inputs(IMAGE, flags(5, 6), flags(5, 6)), vmappable=False),
    Case(partial(plane.rotation, size=SIZE), inputs(normal()), (0,), "float32", vmappable=False, oracle=turn),
    Case(
        plane.translation,
        inputs(normal(2)),
        (),
        "float32",
        vmappable=False,
        oracle=slid,
    ),
    Case(partial(plane.shearing, size=SIZE), inputs(SMALL), (), "float32", vmappable=False),
    Case(partial(plane.scaling, size=SIZE), inputs(LARGE), (), "float32", vmappable=False),
    Case(
        plane.compose,
        inputs(matrix, matrix),
        (),
        "float32",
        vmappable=False,
        oracle=lambda a, b: (square(a) @ square(b))[:2],
    ),
    Case(
        plane.inverse,
        inputs(matrix),
        (0,),
        "float32",
        oracle=lambda a: np.linalg.inv(square(a))[:2],
        edges=(((np.ones((2, 3), np.float32),), f32([0, 0, np.inf], [0, 0, np.inf])),),
    ),
    Case(
        warp.affine,
        inputs(IMAGE, matrix),
        (0, 1),
        oracle=moved,
        edges=(((GREY, np.ones((2, 3), np.float32)), np.zeros((5, 6, 3))),),
        errors=(((np.zeros((2, 2, 3), bool), np.eye(2, 3, dtype=np.float32)), "^bilinear sampling needs numbers"),),
    ),
    Case(partial(warp.affine, nearest=True), inputs(BYTES, matrix), result=None, vmappable=False, label="nearest"),
    Case(warp.rotate, inputs(IMAGE, normal()), vmappable=False, oracle=lambda x, by: moved(x, turn(by))),
    Case(warp.translate, inputs(IMAGE, normal(2)), vmappable=False, oracle=lambda x, by: moved(x, slid(by))),
    Case(
        warp.shear,
        inputs(IMAGE, SMALL),
        vmappable=False,
        oracle=lambda x, by: moved(x, centred([1, by[1]], [by[0], 1])),
    ),
    Case(
        warp.scale,
        inputs(IMAGE, LARGE),
        vmappable=False,
        oracle=lambda x, by: moved(x, centred([by[1], 0], [0, by[0]])),
    ),
    Case(partial(window.covered, size=SIZE), inputs(windows()), result=None, vmappable=False),
    Case(partial(resize.resized_crop, size=(3, 7)), inputs(IMAGE, windows()), (0,), oracle=resized(True)),
    Case(
        partial(resize.resized_crop, size=(3, 7), antialias=False),
        inputs(IMAGE, windows()),
        vmappable=False,
        oracle=resized(False),
        label="sharp",
    ),
    Case(erasing.erase, inputs(IMAGE, windows(), uniform()), (0, 2), oracle=erased),
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
        oracle=mixed,
    ),
    Case(
        partial(mix.cutmix, classes=3),
        inputs(batches(levels(4, 4, 8, 3)), partner, windows(4)),
        result=None,
        vmappable=False,
        oracle=pasted,
    ),
    Case(boxes.move_boxes, inputs(box_array, matrix), (0, 1), oracle=corners),
    Case(
        partial(boxes.clip_boxes, size=(3, 4)),
        inputs(box_array),
        vmappable=False,
        oracle=lambda x: np.minimum(x, [4, 3, 4, 3]),
    ),
    Case(boxes.large_boxes, inputs(box_array), result="bool", vmappable=False),
    Case(sample.affine_sample, inputs(samples, matrix), result=None),
    Case(
        moves,
        inputs(lambda rng: {**samples(rng), "image": IMAGE(rng)}, flags(), lambda rng: i32(1, 2), windows()),
        result=None,
        vmappable=False,
    ),
]
