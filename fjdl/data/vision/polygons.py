"""Polygons as masks, pixel for pixel those of COCO."""

from collections.abc import Sequence

import numpy as np

from fjdl.data.vision.fitting import Size
from fjdl.errors import DataFormatError

FINER = 5  # points of the border for each pixel
MOST_POINTS = 2**24  # of a border


def polygon_mask(points: Sequence[float] | np.ndarray, size: Size, *, where: str = "the polygon") -> np.ndarray:
    """The mask uint8 `[h, w]` of the pixels inside a polygon with the corners `[x0, y0, x1, y1, …]` in pixels.

    The border is walked in steps of a fifth of a pixel. Where it crosses the middle of a column of pixels, all pixels
    of this column from there on change between outside and inside, so the rule is even-odd. Equals
    `pycocotools.mask.frPyObjects` bit for bit. Parts outside of the image are cut off. Raises `DataError` for fewer
    than three corners, half a corner, a coordinate that is not finite, and a border of more than 3,355,443 pixels;
    `where` names the polygon then.
    """
    corners = _corners(points, where)
    height, width = size
    x, y = _border(corners, where)
    steps = np.flatnonzero(x[1:] != x[:-1])
    column = (np.minimum(x[steps], x[steps + 1]) + 0.5) / FINER - 0.5
    row = np.clip((np.minimum(y[steps], y[steps + 1]) + 0.5) / FINER - 0.5, 0, height)
    crosses = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    changes = column[crosses].astype(np.int64) * height + np.ceil(row[crosses]).astype(np.int64)
    count = np.bincount(changes, minlength=height * width + 1)[: height * width]
    return (np.cumsum(count) & 1).astype(np.uint8).reshape(width, height).T


def _corners(points: Sequence[float] | np.ndarray, where: str) -> np.ndarray:
    """Corners `[k, 2]` in fifths of a pixel, rounded toward 0 after half is added, with the first again at the end."""
    try:
        numbers = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise DataFormatError(where, None, "the coordinates", "be numbers", f"{str(points)[:40]}") from None
    if numbers.ndim != 1 or numbers.size < 6 or numbers.size % 2:
        raise DataFormatError(
            where, None, "there", "be at least 3 corners of 2 numbers each", f"shape {list(numbers.shape)}"
        )
    if not np.all(np.abs(numbers) < MOST_POINTS):
        raise DataFormatError(
            where, None, "the coordinates", f"be finite and below {MOST_POINTS}", f"{str(points)[:40]}"
        )
    corners = np.trunc(FINER * numbers.reshape(-1, 2) + 0.5).astype(np.int64)
    return np.concatenate([corners, corners[:1]])


def _border(corners: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """All points of the border in order, x and y: each step of an edge is one along the axis on which it is longer."""
    begins, ends = corners[:-1], corners[1:]
    lengths = np.abs(ends - begins).max(axis=1)
    total = int((lengths + 1).sum())
    if total > MOST_POINTS:
        raise DataFormatError(where, None, "the border", f"have at most {MOST_POINTS} points", f"{total}")
    edge = np.repeat(np.arange(len(lengths)), lengths + 1)
    step = np.arange(total) - np.repeat(np.cumsum(lengths + 1) - (lengths + 1), lengths + 1)
    flat = np.abs(ends - begins)[:, 0] >= np.abs(ends - begins)[:, 1]
    along = np.where(flat, 0, 1)
    number = np.arange(len(lengths))
    back = begins[number, along] > ends[number, along]
    low, high = np.where(back[:, None], ends, begins), np.where(back[:, None], begins, ends)
    far = np.where(back[edge], lengths[edge] - step, step)
    slope = (high - low)[number, 1 - along] / np.maximum(lengths, 1)
    first = low[number, along][edge] + far
    second = np.trunc(low[number, 1 - along][edge] + slope[edge] * far + 0.5).astype(np.int64)
    return np.where(flat[edge], first, second), np.where(flat[edge], second, first)
