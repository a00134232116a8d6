"""Rows of fjdl.augment that move whole pixels or change their values: crops, flips, color, tone, blur, noise.

A function `random_x` draws and calls `x`, which has the row; the laws of both are in `tests/augment/test_random.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fjdl.augment import (
    blur,
    color,
    cropping,
    distort,
    geometry,
    noise,
    pixels,
    tone,
)
from tests.cases.case import Case, f32, i32, inputs, key, normal, uniform
from tests.cases.oracles import augment as oracles

IMAGE = uniform(5, 6, 3)
FACTOR = uniform(low=0.4, high=1.6)


def levels(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, 256, shape, dtype=np.uint8)


def flags(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: np.asarray(rng.uniform(size=shape) < 0.5)


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
        oracle=oracles.bent,
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
    Case(pixels.luma, inputs(IMAGE), (), "float32", vmappable=False, oracle=oracles.grey),
    Case(color.blend, inputs(uniform(5, 6, 1), IMAGE, FACTOR), (0, 1, 2), domain=(0.0, 1.0)),
    Case(
        color.brightness, inputs(IMAGE, FACTOR), vmappable=False, oracle=oracles.blended(lambda x: 0.0), errors=NEGATIVE
    ),
    Case(
        color.contrast,
        inputs(IMAGE, FACTOR),
        **UNIT,
        oracle=oracles.blended(lambda x: np.mean(x @ oracles.LUMA)),
        edges=(((GREY, f32(9.0)[0]), GREY),),
        errors=NEGATIVE + CHANNELS,
    ),
    Case(
        color.saturation,
        inputs(IMAGE, FACTOR),
        **UNIT,
        vmappable=False,
        oracle=oracles.blended(oracles.grey),
        errors=NEGATIVE + CHANNELS,
    ),
    Case(
        color.hue,
        inputs(IMAGE, FACTOR),
        **UNIT,
        oracle=oracles.turned,
        edges=(((GREY, f32(0.3)[0]), GREY), ((RED, f32(1 / 3)[0]), GREEN)),
        errors=CHANNELS,
    ),
    Case(color.grayscale, inputs(BYTES, flags()), result=None, vmappable=False),
    Case(tone.invert, inputs(IMAGE), vmappable=False, oracle=lambda x: 1 - x),
    Case(
        tone.solarize,
        inputs(BYTES, lambda rng: f32(130)[0]),
        result=None,
        vmappable=False,
        oracle=oracles.pillow("solarize"),
    ),
    Case(
        tone.posterize,
        inputs(BYTES, lambda rng: i32(3)[0]),
        result=None,
        vmappable=False,
        oracle=oracles.pillow("posterize"),
    ),
    Case(
        tone.autocontrast,
        inputs(IMAGE),
        (0,),
        domain=(0.0, 1.0),
        oracle=lambda x: (x - x.min((0, 1))) / (x.max((0, 1)) - x.min((0, 1))),
        edges=(((GREY,), GREY),),
    ),
    Case(tone.equalize, inputs(levels(20, 20, 3)), result=None, oracle=oracles.pillow("equalize")),
    Case(tone.sharpness, inputs(IMAGE, FACTOR), **UNIT, oracle=oracles.blended(oracles.smoothed), errors=NEGATIVE),
    Case(
        partial(blur.gaussian_blur, radius=2),
        inputs(IMAGE, FACTOR),
        (0, 1),
        domain=(0.0, 2.0),
        oracle=oracles.blurred,
        errors=(((np.zeros((2, 2, 3), np.float32), -1.0), r"^sigma must not be negative, got -1.0$"),),
    ),
    Case(noise.add_noise, inputs(IMAGE, normal(5, 6, 3)), vmappable=False, oracle=lambda x, y: np.clip(x + y, 0, 1)),
    Case(
        noise.salt_and_pepper,
        inputs(IMAGE, flags(5, 6), flags(5, 6)),
        vmappable=False,
        oracle=lambda x, salt, pepper: np.where(pepper[..., None], 0, np.where(salt[..., None], 1, x)),
    ),
]
