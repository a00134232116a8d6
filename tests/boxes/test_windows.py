"""Sliding windows one by one, and a network that slides in one pass."""

import jax
import numpy as np
import pytest

from fjdl import boxes
from fjdl.analysis import receptive_field
from fjdl.analysis.receptive import Window
from fjdl.functional import conv2d, dense_to_conv, linear, max_pool2d, relu


@pytest.mark.parametrize(("size", "window", "stride"), [((5, 6), (3, 2), 1), ((9, 8), (4, 3), (2, 3)), ((3, 3), 3, 7)])
def test_boxes_and_crops_are_those_of_a_loop(rng: np.random.Generator, size, window, stride) -> None:
    (h, w), (s, t) = (value if isinstance(value, tuple) else (value, value) for value in (window, stride))
    corners = [(y, x) for y in range(0, size[0] - h + 1, s) for x in range(0, size[1] - w + 1, t)]
    images = rng.integers(0, 256, (2, *size, 3)).astype(np.uint8)
    assert boxes.number_of_windows(size, window=window, stride=stride) == len(corners)
    found = boxes.window_boxes(size, window=window, stride=stride)
    np.testing.assert_array_equal(found, [[x, y, x + w, y + h] for y, x in corners])
    crops = boxes.window_crops(images, window=window, stride=stride)
    assert crops.dtype == np.uint8
    np.testing.assert_array_equal(crops, np.stack([images[:, y : y + h, x : x + w] for y, x in corners], 1))


def test_the_number_of_windows_of_stride_1_is_that_of_the_formula() -> None:
    for h, w, b_h, b_w in ((10, 12, 3, 5), (4, 4, 4, 4), (7, 9, 1, 1)):
        assert boxes.number_of_windows((h, w), window=(b_h, b_w)) == (h - b_h + 1) * (w - b_w + 1)


@pytest.mark.by_day_on_pin(0)
def test_e77_a_classifier_slides_in_one_pass_and_regresses_no_boxes(rng: np.random.Generator) -> None:
    """Convolution, pooling and two dense layers on crops of 10 × 10; each output cell is the answer for its region."""
    kernel = rng.standard_normal((3, 3, 2, 4)).astype(np.float32)
    hidden, out = (rng.standard_normal(shape).astype(np.float32) for shape in ((4 * 4 * 4, 5), (5, 3)))

    def features(x: jax.Array) -> jax.Array:
        return max_pool2d(relu(conv2d(x, kernel, padding="VALID")), window=2)

    def of_crop(x: jax.Array) -> jax.Array:
        return linear(relu(linear(features(x).reshape(len(x), -1), hidden)), out)

    def in_one_pass(x: jax.Array) -> jax.Array:
        inner = relu(conv2d(features(x), dense_to_conv(hidden, size=(4, 4)), padding="VALID"))
        return conv2d(inner, dense_to_conv(out, size=(1, 1)), padding="VALID")

    image = rng.standard_normal((1, 14, 16, 2)).astype(np.float32)
    answers = in_one_pass(image)[0]
    field = receptive_field([Window(size=3), Window(size=2, stride=2), Window(size=4), Window(size=1)])
    regions = np.asarray(boxes.cell_regions(cells=answers.shape[:2], **field._asdict()), int)
    assert answers.shape == (3, 4, 3)
    np.testing.assert_array_equal(regions.reshape(-1, 4), boxes.window_boxes((14, 16), window=10, stride=2))
    crops = boxes.window_crops(image, window=10, stride=2)[0]
    np.testing.assert_allclose(answers.reshape(-1, 3), of_crop(crops), rtol=1e-4, atol=1e-4)


def test_regions_begin_before_the_image_where_there_is_padding() -> None:
    found = boxes.cell_regions(cells=(2, 1), size=(3, 5), stride=(2, 4), start=(-1, -2))
    np.testing.assert_array_equal(found[:, 0], [[-2, -1, 3, 2], [-2, 1, 3, 4]])


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: boxes.number_of_windows((2, 9), window=3), "the window must fit .*"),
        (lambda: boxes.window_boxes((4, 4), window=3, stride=0), "stride must be at least 1, got 0"),
        (lambda: boxes.cell_regions(cells=(0, 1), size=3, stride=1), "cells must have at least one .*"),
    ],
)
def test_impossible_windows_are_refused(call, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule}$"):
        call()
