"""Pictures of one handwritten digit at a random place, to be found and named."""

from dataclasses import replace
from typing import Any

import numpy as np

from fjdl.checks import at_least, within
from fjdl.data.embedded import INK, digits
from fjdl.data.source import PARTS, Source, Splits, from_arrays, to_arrays
from fjdl.data.vision.images import fitted_reader

SMALLEST = 2  # pixels of a scene for each of a digit


def digit_scenes(
    *,
    size: int = 64,
    largest: int = 4,
    copies: int = 1,
    noise: float = 0.0,
    validation: float = 0.15,
    test: float = 0.2,
    split_seed: int = 0,
    seed: int = 0,
) -> Splits:
    """Black pictures uint8 [size, size, 1] with one of scikit-learn's 1,797 digits each, with its box and class.

    A digit has 8 x 8 pixels, of which each becomes a square of 2 to `largest` pixels, drawn uniformly as the place is;
    ink is 0 to 255. `noise` is the standard deviation of normal noise, in levels, that is added to all pixels before
    they are rounded and clipped. Each digit is in `copies` scenes, and no digit is in two parts. An example is
    `{"image", "boxes": float32 [1, 4], "labels": int32 [1], "valid": bool [1]}`; the box is the smallest around the
    ink. Everything is a function of the options. Raises `ValueError` for `largest` below 2, for a size below
    `8 * largest`, and what `embedded.digits` does.
    """
    at_least(SMALLEST, largest=largest)
    at_least(8 * largest, size=size)
    at_least(1, copies=copies)
    within("[0, inf)", noise=noise)
    parts = digits(validation=validation, test=test, split_seed=split_seed)
    sources = {
        part: _scenes(getattr(parts, part), size, largest, copies, noise, np.random.PCG64([seed, number]))
        for number, part in enumerate(PARTS)
    }
    reader = fitted_reader((size, size), channels=1, fill=0)
    return replace(parts, name="digit_scenes", reader=reader, **sources)


def _scenes(source: Source, size: int, largest: int, copies: int, noise: float, bits: Any) -> Source:
    rng = np.random.Generator(bits)
    arrays = to_arrays(source)
    glyphs, labels = (np.repeat(arrays[name], copies, axis=0) for name in ("image", "label"))
    images = np.zeros((len(labels), size, size, 1), np.float32)
    boxes = np.zeros((len(labels), 1, 4), np.float32)
    for number, glyph in enumerate(glyphs[..., 0]):
        scale = int(rng.integers(SMALLEST, largest + 1))
        drawn = np.kron(glyph, np.ones((scale, scale), np.uint8))
        top, left = rng.integers(0, size - len(drawn) + 1, 2)
        images[number, top : top + len(drawn), left : left + len(drawn), 0] = drawn * (255 / INK)
        rows, columns = np.nonzero(drawn)
        corners = [left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1]
        boxes[number, 0] = corners
    images += noise * rng.standard_normal(images.shape, np.float32)
    return from_arrays(
        {
            "image": np.clip(np.rint(images), 0, 255).astype(np.uint8),
            "boxes": boxes,
            "labels": labels[:, None].astype(np.int32),
            "valid": np.ones((len(labels), 1), bool),
        }
    )
