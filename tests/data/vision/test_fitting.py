"""A painted rectangle, its mask and its box stay together at every size."""

import numpy as np
import pytest
from PIL import Image

from fjdl.data.vision import fit_boxes, fit_image, fit_mask, placement, unfit_boxes

SIZES = [(40, 40), (80, 100), (16, 60), (33, 21), (50, 75)]


def painted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image, mask = np.zeros((50, 75, 3), np.uint8), np.zeros((50, 75), np.uint8)
    image[10:30, 15:60], mask[10:30, 15:60] = 255, 3
    return image, mask, np.array([[15, 10, 60, 30]], np.float64)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stretch", [True, False])
def test_rectangle_mask_and_box_stay_together(size, stretch):
    image, mask, boxes = painted()
    pixels = fit_image(image, size, stretch=stretch, fill=0)
    labels = fit_mask(mask, size, stretch=stretch)
    [moved] = fit_boxes(boxes, (50, 75), size, stretch=stretch)
    assert (pixels.shape, labels.shape, moved.dtype) == ((*size, 3), size, np.float32)
    for region in (pixels[..., 0] > 127, labels == 3):
        rows, columns = np.nonzero(region)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found, moved, atol=0.51)
    assert set(np.unique(labels)) <= {0, 3, 255}
    np.testing.assert_allclose(unfit_boxes(moved[None], (50, 75), size, stretch=stretch), boxes, atol=1e-4)


def test_the_margins_of_a_letterbox_are_grey_and_void_and_as_wide_on_both_sides():
    image, mask, _ = painted()
    assert placement((50, 75), (33, 33)) == (5, 0, 22, 33)
    pixels, labels = fit_image(image, (33, 33)), fit_mask(mask, (33, 33))
    for rows in (slice(0, 5), slice(27, 33)):
        assert np.unique(pixels[rows]).tolist() == [114]
        assert np.unique(labels[rows]).tolist() == [255]
    assert 255 not in labels[5:27]
    assert placement((1, 1000), (10, 10)) == (4, 0, 1, 10)  # a side never vanishes
    assert placement((50, 75), (33, 20), stretch=True) == (0, 0, 33, 20)


def test_scaling_is_that_of_pillow_and_no_scaling_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (50, 75, 3), np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((30, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(fit_image(image, (20, 30)), expected)
    np.testing.assert_array_equal(fit_image(image, (50, 75)), image)
    np.testing.assert_array_equal(fit_image(image[..., :1], (20, 30))[..., 0], expected_grey(image))
    np.testing.assert_array_equal(fit_image(image, (50, 80))[:, 2:77], image)


def expected_grey(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image[..., 0]).resize((30, 20), Image.Resampling.BILINEAR))


def test_what_was_found_in_a_margin_loses_its_area():
    [found] = unfit_boxes(np.array([[0, 0, 33, 4]]), (50, 75), (33, 33))
    np.testing.assert_array_equal(found, [0, 0, 75, 0])


def test_sizes_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match=r"^size must be positive, got"):
        placement((4, 4), (0, 4))
