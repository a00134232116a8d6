"""Augmentation of random images by random amounts against NumPy, SciPy, Pillow, PyTorch and colorsys."""

import colorsys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from fjdl.augment import blur, boxes, color, cropping, geometry, plane as maps, resize, tone, warp
from tests.support import float64

pytestmark = pytest.mark.fuzz

SHAPE = (6, 7, 3)
BYTES = st.one_of(
    arrays(np.uint8, SHAPE),
    arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 127, 128, 254, 255])),
    arrays(np.uint8, (1, 1, 3)).map(lambda x: np.broadcast_to(x, SHAPE).copy()),
)
UNIT = arrays(np.float64, SHAPE, elements=st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1)))
WILD = arrays(np.float64, SHAPE, elements=st.floats(-1e6, 1e6))
FACTORS = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(0, 3, width=32))
ENTRIES = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 0.5]), st.floats(-3, 3), st.floats(-1e-3, 1e-3))
OFFSETS = st.one_of(st.sampled_from([0.0, 1.0, -2.5, 100.0]), st.floats(-8, 8))

run = settings(max_examples=300, deadline=None, derandomize=True)

JITTED = {
    function: jax.jit(function)
    for function in (
        color.brightness, color.contrast, color.saturation, color.hue, tone.sharpness, tone.solarize, tone.posterize,
        tone.autocontrast, tone.equalize, tone.invert, geometry.mirror, geometry.flip_vertical, boxes.move_boxes,
    )
}  # fmt: skip
bilinear = jax.jit(lambda image, matrix, fill: warp.affine(image, matrix, fill=0.25))
nearest = jax.jit(lambda image, matrix, fill: warp.affine(image, matrix, fill=fill, nearest=True), static_argnums=2)
cropped = jax.jit(lambda image, start: cropping.crop(cropping.pad(image, padding=3), start, size=(5, 4)))
reflected = jax.jit(
    lambda image, start: cropping.crop(cropping.pad(image, padding=3, reflect=True), start, size=(12, 8))
)
shifted = jax.jit(lambda image, offset: geometry.shift(image, offset, most=9))
blurred = jax.jit(lambda image, sigma: blur.gaussian_blur(image, sigma, radius=5))
smooth = jax.jit(lambda image, window: resize.resized_crop(image, window, size=(4, 9)))
rough = jax.jit(lambda image, window: resize.resized_crop(image, window, size=(4, 9), antialias=False))
copied = jax.jit(lambda image, window: resize.resized_crop(image, window, size=(4, 9), nearest=True))


def pillow(change: Any, image: np.ndarray) -> np.ndarray:
    return np.asarray(change(Image.fromarray(image)))


def of(function: Any, *args: Any) -> np.ndarray:
    return np.asarray(JITTED[function](*args))


@run
@given(BYTES, FACTORS)
def test_enhancements_of_bytes_equal_pillow(image: np.ndarray, factor: float) -> None:
    for ours, theirs in (
        (color.brightness, ImageEnhance.Brightness),
        (color.contrast, ImageEnhance.Contrast),
        (color.saturation, ImageEnhance.Color),
        (tone.sharpness, ImageEnhance.Sharpness),
    ):
        actual = of(ours, image, np.float32(factor))
        expected = pillow(lambda x, theirs=theirs: theirs(x).enhance(factor), image)
        np.testing.assert_array_equal(actual, expected)


@run
@given(BYTES, st.integers(0, 256), st.integers(1, 8))
def test_operations_on_bytes_equal_pillow(image: np.ndarray, threshold: int, bits: int) -> None:
    expected = pillow(lambda x: ImageOps.solarize(x, threshold), image)
    np.testing.assert_array_equal(of(tone.solarize, image, np.float32(threshold)), expected)
    expected = pillow(lambda x: ImageOps.posterize(x, bits), image)
    np.testing.assert_array_equal(of(tone.posterize, image, np.int32(bits)), expected)
    np.testing.assert_array_equal(of(tone.invert, image), pillow(ImageOps.invert, image))
    expected = pillow(ImageOps.autocontrast, image).astype(int)
    assert set(np.unique(of(tone.autocontrast, image) - expected)) <= {0, 1}


@run
@given(arrays(np.uint8, (24, 32, 1), elements=st.sampled_from([0, 3, 9, 30, 90, 91, 255])), st.integers(0, 2**32 - 1))
def test_equalization_of_bytes_equals_pillow(image: np.ndarray, seed: int) -> None:
    other = np.random.default_rng(seed).binomial(255, 0.3, (24, 32, 2)).astype(np.uint8)
    image = np.concatenate([image, other], axis=-1)
    np.testing.assert_array_equal(of(tone.equalize, image), pillow(ImageOps.equalize, image))


@run
@given(UNIT, FACTORS)
def test_enhancements_of_floats_equal_their_formula(image: np.ndarray, factor: float) -> None:
    grey = image @ np.array([0.299, 0.587, 0.114])
    with float64():
        for ours, base in (
            (color.brightness, 0.0),
            (color.contrast, grey.mean()),
            (color.saturation, grey[..., None]),
        ):
            expected = np.clip(base + factor * (image - base), 0, 1)
            np.testing.assert_allclose(of(ours, image, np.float64(factor)), expected, atol=1e-12)


@run
@given(UNIT, st.one_of(st.sampled_from([0.0, 0.5, -0.5, 1 / 3, 1.0]), st.floats(-2, 2)))
def test_hue_equals_colorsys(image: np.ndarray, turns: float) -> None:
    with float64():
        actual = of(color.hue, image, np.float64(turns))
    for pixel, turned in zip(image.reshape(-1, 3), actual.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*map(float, pixel))
        np.testing.assert_allclose(turned, colorsys.hsv_to_rgb((hue + turns) % 1, saturation, value), atol=1e-9)


@run
@given(UNIT, arrays(np.float64, (2, 2), elements=ENTRIES), arrays(np.float64, (2,), elements=OFFSETS))
def test_affine_equals_scipy(image: np.ndarray, linear: np.ndarray, offset: np.ndarray) -> None:
    determinant = linear[0, 0] * linear[1, 1] - linear[0, 1] * linear[1, 0]
    assume(abs(determinant) > 1e-4)
    back = np.linalg.inv(linear)
    # From (x, y) of corners at whole numbers to (row, column) of centres at whole numbers.
    matrix = back[::-1, ::-1]
    start = matrix @ (0.5 - offset[::-1]) - 0.5
    with float64():
        full = np.concatenate([linear, offset[:, None]], axis=1)
        smooth, hard = bilinear(image, full, 0.25), np.asarray(nearest(image, full, 0.25))
    rows, columns = np.indices(SHAPE[:2])
    place = np.stack([rows, columns], -1) @ matrix.T + start
    tie = (np.abs(place + 0.5 - np.round(place + 0.5)) < 1e-9 * (1 + np.abs(place))).any(axis=-1)
    for channel in range(3):
        options = {"mode": "grid-constant", "cval": 0.25}
        expected = ndimage.affine_transform(image[..., channel], matrix, start, order=1, **options)
        np.testing.assert_allclose(smooth[..., channel], expected, atol=1e-8)
        expected = ndimage.affine_transform(image[..., channel], matrix, start, order=0, **options)
        np.testing.assert_array_equal(hard[..., channel][~tie], expected[~tie])


@run
@given(
    arrays(np.float32, (4, 4), elements=st.floats(-50, 50, width=32)),
    arrays(np.float32, (2, 3), elements=st.floats(-50, 50, width=32)),
)
def test_moved_boxes_hold_all_corners(corners: np.ndarray, matrix: np.ndarray) -> None:
    corners = np.concatenate(
        [np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1
    )
    points = corners[:, [[0, 1], [0, 3], [2, 1], [2, 3]]].astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    expected = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    np.testing.assert_allclose(of(boxes.move_boxes, corners, matrix), expected, rtol=1e-5, atol=1e-2)


@run
@given(WILD, st.tuples(st.integers(-3, 12), st.integers(-3, 12)), st.booleans())
def test_crops_flips_and_shifts_equal_numpy(image: np.ndarray, start: tuple[int, int], flip: bool) -> None:
    image = image.astype(np.float32)
    y, x = np.clip(start, 0, (12 - 5, 13 - 4))
    np.testing.assert_array_equal(
        cropped(image, np.array(start)), np.pad(image, ((3, 3), (3, 3), (0, 0)))[y : y + 5, x : x + 4]
    )
    x = np.clip(start[1], 0, 13 - 8)
    np.testing.assert_array_equal(
        reflected(image, np.array(start)), np.pad(image, ((3, 3), (3, 3), (0, 0)), mode="reflect")[:, x : x + 8]
    )
    moved = ndimage.shift(image, (*np.clip(start, -9, 9), 0), order=0)
    np.testing.assert_array_equal(shifted(image, np.array(start)), moved)
    np.testing.assert_array_equal(of(geometry.mirror, image, np.bool_(flip)), np.fliplr(image) if flip else image)
    np.testing.assert_array_equal(
        of(geometry.flip_vertical, image, np.bool_(flip)), np.flipud(image) if flip else image
    )


@run
@given(WILD, st.one_of(st.sampled_from([0.0, 1e-3, 1.0]), st.floats(1e-2, 1e2)))
def test_gaussian_blur_equals_scipy(image: np.ndarray, sigma: float) -> None:
    with float64():
        actual = blurred(image, np.float64(sigma))
    expected = ndimage.gaussian_filter(image, (sigma, sigma, 0), radius=(5, 5, 0)) if sigma else image
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-6)


@run
@given(UNIT, st.tuples(st.integers(0, 5), st.integers(0, 6)), st.tuples(st.integers(1, 6), st.integers(1, 7)))
def test_resized_crops_equal_torch(image: np.ndarray, start: tuple[int, int], size: tuple[int, int]) -> None:
    image = image.astype(np.float32)
    (top, left), (height, width) = start, size
    window = np.array([top, left, height, width])
    part = torch.tensor(image[top : top + height, left : left + width]).permute(2, 0, 1)[None]
    for ours, options in (
        (smooth, {"mode": "bilinear", "antialias": True, "align_corners": False}),
        (rough, {"mode": "bilinear", "antialias": False, "align_corners": False}),
        (copied, {"mode": "nearest-exact"}),
    ):
        expected = torch.nn.functional.interpolate(part, (4, 9), **options)[0].permute(1, 2, 0)
        np.testing.assert_allclose(ours(image, window), expected, atol=2e-6)


@run
@given(st.one_of(st.sampled_from([0.0, 90.0, -90.0, 180.0, 45.0]), st.floats(-720, 720)), UNIT)
def test_rotation_equals_scipy(degrees: float, image: np.ndarray) -> None:
    with float64():
        matrix = maps.rotation(jnp.float64(degrees), size=SHAPE[:2])
        actual = bilinear(image, np.asarray(matrix), 0.25)
    expected = ndimage.rotate(image, degrees, reshape=False, order=1, mode="grid-constant", cval=0.25)
    np.testing.assert_allclose(actual, expected, atol=1e-9)
