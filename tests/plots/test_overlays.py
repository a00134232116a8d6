"""Pixels of what is drawn into images, and of the files that hold masks."""

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from fjdl.data.vision import read_mask
from fjdl.plots import class_colours, covered, image_png, mask_png, outlined

RED, BLUE = [255, 0, 0], [0, 0, 255]


def test_the_outline_of_a_box_is_made_of_the_outermost_pixels_that_it_touches() -> None:
    """[1.2, 2, 4.5, 5] touches columns 1 to 4 and rows 2 to 4."""
    image = np.full((7, 8, 3), 9, np.uint8)
    drawn = outlined(image, np.array([[1.2, 2, 4.5, 5]]), np.array([RED], np.uint8), width=1)
    red = (drawn == RED).all(axis=-1)
    expected = np.zeros((7, 8), bool)
    expected[2:5, 1:5] = True
    expected[3, 2:4] = False
    np.testing.assert_array_equal(red, expected)
    assert (drawn[~expected] == 9).all()
    assert (image == 9).all()


def test_the_first_box_is_on_top_and_boxes_outside_or_without_area_are_drawn_at_the_edge() -> None:
    image = np.zeros((6, 6, 3), np.uint8)
    boxes = np.array([[0.0, 0, 3, 3], [0, 0, 6, 3], [9, 9, 9, 9], [4, 4, 4, 4]])
    drawn = outlined(image, boxes, np.array([RED, BLUE, RED, BLUE], np.uint8), width=2)
    np.testing.assert_array_equal(drawn[0], [RED] * 3 + [BLUE] * 3)
    assert (drawn[5, 5].tolist(), drawn[4, 4].tolist(), drawn[4, 5].tolist()) == (RED, BLUE, [0, 0, 0])
    np.testing.assert_array_equal(outlined(image, np.zeros((0, 4)), np.zeros((0, 3), np.uint8)), image)


@pytest.mark.parametrize("box", [[20.0, 40, 60, 80], [60.0, 1, 99, 50], [0.0, 0, 5, 5]])
def test_captions_stay_inside_of_the_image(box: list[float]) -> None:
    image, colour = np.zeros((100, 100, 3), np.uint8), np.array([BLUE], np.uint8)
    plain = outlined(image, np.array([box]), colour)
    drawn = outlined(image, np.array([box]), colour, captions=["platelet 0.93"])
    rows, columns = np.nonzero((drawn != plain).any(axis=-1))
    assert 5 < np.ptp(rows) < 30
    assert 40 < np.ptp(columns) < 100
    assert drawn.min(axis=-1).max() > 150  # white letters on blue


def test_a_covered_pixel_is_the_mean_of_image_and_colour() -> None:
    image = np.full((1, 4, 3), 100, np.uint8)
    colours = np.array([[0, 0, 0], [200, 100, 0]], np.uint8)
    mask = np.array([[0, 1, 255, 1]], np.uint8)
    drawn = covered(image, mask, colours)
    np.testing.assert_array_equal(drawn, [[[100] * 3, [150, 100, 50], [100] * 3, [150, 100, 50]]])
    np.testing.assert_array_equal(covered(image, mask, colours, opacity=0.25)[0, 1], [125, 100, 75])


@pytest.mark.parametrize("classes", [1, 2, 11, 21, 255])
def test_masks_come_back_from_their_files_value_by_value(tmp_path, classes: int) -> None:
    mask = np.random.default_rng(0).integers(0, classes, (9, 7), np.uint8)
    mask[0, 0] = 255
    colours = class_colours(classes)
    (tmp_path / "mask.png").write_bytes(mask_png(mask, colours))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", classes=classes, void=(255,)), mask)
    shown = np.asarray(Image.open(tmp_path / "mask.png").convert("RGB"))
    assert shown[0, 0].tolist() == [224, 224, 192]
    np.testing.assert_array_equal(shown[mask < 255], colours[mask[mask < 255]])


def test_images_come_back_from_their_files() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image_png(image)))), image)


def test_colours_of_classes_are_all_different_and_those_of_few_classes_far_apart() -> None:
    assert len({tuple(colour) for colour in class_colours(255).tolist()}) == 255
    pairs = combinations(class_colours(12).astype(int), 2)
    assert min(np.abs(a - b).sum() for a, b in pairs) > 60
    np.testing.assert_array_equal(class_colours(5), class_colours(30)[:5])
    assert class_colours(3, background=0)[0].tolist() == [0, 0, 0]
    assert class_colours(0).shape == (0, 3)
