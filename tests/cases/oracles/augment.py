"""What the augmentations equal, in NumPy, SciPy, Pillow and PyTorch."""

import colorsys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from fjdl.augment import (
    sample,
)
from tests.cases.case import of_torch

SIZE = (5, 6)
LUMA = np.array([0.299, 0.587, 0.114])


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
