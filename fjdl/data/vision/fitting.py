"""Images, masks and boxes at the size that a model takes.

An image is stretched to the size, or scaled as far as it fits, with margins around it that are as wide on both sides (a
"letterbox"). Boxes are corners `[x0, y0, x1, y1]` in pixels, where pixel (0, 0) covers [0, 1] × [0, 1].
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from fjdl.checks import within

Size = tuple[int, int]  # (height, width)

MARGIN = 114  # the grey of the margins beside an image, as in YOLO


class Placement(NamedTuple):
    """Where an image lies in a larger one, in pixels: its first row and column, and the size that it has there."""

    top: int
    left: int
    height: int
    width: int


def placement(source: Size, size: Size, *, stretch: bool = False) -> Placement:
    """Where an image of the size `source` lies at `size`, both (height, width).

    Stretched, it is everything. Else both sides are multiplied by the same factor, the largest for which they fit, and
    rounded to whole pixels, at least one; of a margin with an odd number of pixels the smaller half is above and on the
    left. Raises `ValueError` for a side that is not positive.
    """
    within("(0, inf]", source=source, size=size)
    if stretch:
        return Placement(0, 0, *size)
    factor = min(size[0] / source[0], size[1] / source[1])
    height, width = (
        min(max(round(side * factor), 1), most) for side, most in zip(source, size, strict=True)
    )  # fmt: skip
    return Placement((size[0] - height) // 2, (size[1] - width) // 2, height, width)


def fit_image(image: np.ndarray, size: Size, *, stretch: bool = False, fill: int = MARGIN) -> np.ndarray:
    """The uint8 image `[h, w, c]` of one or three channels at `size`, with `fill` in the margins of `placement`.

    Bilinear, with the filter widened as far as the image shrinks. One that needs no scaling keeps its pixels bit for
    bit.
    """
    return _fitted(image, size, Image.Resampling.BILINEAR, stretch, fill)


def fit_mask(mask: np.ndarray, size: Size, *, stretch: bool = False, fill: int = 255) -> np.ndarray:
    """The uint8 mask `[h, w]` where `fit_image` puts its image; a pixel is that of the file which holds its centre."""
    return _fitted(mask[..., None], size, Image.Resampling.NEAREST, stretch, fill)[..., 0]


def fit_boxes(boxes: np.ndarray, source: Size, size: Size, *, stretch: bool = False) -> np.ndarray:
    """Boxes `[k, 4]` of an image of the size `source` where `fit_image` puts what they surround, float32."""
    factors, offset = _scale(source, placement(source, size, stretch=stretch))
    return (np.asarray(boxes, np.float64) * factors + offset).astype(np.float32)


def unfit_boxes(boxes: np.ndarray, source: Size, size: Size, *, stretch: bool = False) -> np.ndarray:
    """Undoes `fit_boxes`: boxes `[k, 4]` of the image at `size` in the pixels of its file, float32.

    They are clipped to the image of the file, so that what was found in a margin loses its area.
    """
    factors, offset = _scale(source, placement(source, size, stretch=stretch))
    found = (np.asarray(boxes, np.float64) - offset) / factors
    return np.clip(found, 0, np.array([source[1], source[0]] * 2)).astype(np.float32)


def _scale(source: Size, place: Placement) -> tuple[np.ndarray, np.ndarray]:
    factors = np.array([place.width / source[1], place.height / source[0]] * 2)
    return factors, np.array([place.left, place.top] * 2, np.float64)


def _fitted(array: np.ndarray, size: Size, resample: Image.Resampling, stretch: bool, fill: int) -> np.ndarray:
    top, left, height, width = placement(array.shape[:2], size, stretch=stretch)
    if (height, width) != array.shape[:2]:
        channels = array.shape[2]
        scaled = Image.fromarray(array[..., 0] if channels == 1 else array).resize((width, height), resample)
        array = np.asarray(scaled).reshape(height, width, channels)
    if (height, width) == tuple(size):
        return array
    whole = np.full((*size, array.shape[2]), fill, np.uint8)
    whole[top : top + height, left : left + width] = array
    return whole
