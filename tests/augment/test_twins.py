"""Samples that are changed without a draw, beside NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.augment import flip_vertical_sample, resized_crop_sample

IMAGE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
MASK = np.arange(4 * 5, dtype=np.uint8).reshape(4, 5)
BOXES = np.array([[1.0, 0.0, 3.0, 1.0], [0.0, 1.0, 5.0, 4.0]], np.float32)  # x0, y0, x1, y1


def sample() -> dict[str, jnp.ndarray]:
    return {"image": jnp.asarray(IMAGE), "mask": jnp.asarray(MASK), "boxes": jnp.asarray(BOXES)}


@pytest.mark.parametrize("flip", [False, True])
def test_a_vertical_flip_moves_image_mask_and_boxes(flip: bool) -> None:
    turned = flip_vertical_sample(sample(), jnp.array(flip))
    rows = slice(None, None, -1 if flip else 1)
    np.testing.assert_array_equal(turned["image"], IMAGE[rows])
    np.testing.assert_array_equal(turned["mask"], MASK[rows])
    flipped = np.array([[1, 3, 3, 4], [0, 0, 5, 3]])
    np.testing.assert_allclose(turned["boxes"], flipped if flip else BOXES, atol=1e-5)


@pytest.mark.by_day_on_pin(1)
def test_a_resized_crop_enlarges_what_lies_inside() -> None:
    window = jnp.array([1, 2, 2, 3])  # from row 1 and column 2, 2 rows and 3 columns
    enlarged = resized_crop_sample(sample(), window, size=(4, 9))
    np.testing.assert_array_equal(enlarged["mask"], np.repeat(np.repeat(MASK[1:3, 2:5], 2, axis=0), 3, axis=1))
    assert enlarged["image"].shape == (4, 9, 3)
    np.testing.assert_allclose(enlarged["boxes"][1], [0, 0, 9, 4], atol=1e-5)  # cut to the window
    np.testing.assert_array_equal(enlarged["valid"], [False, True])  # the first lies above it
