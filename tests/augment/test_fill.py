"""Fills: one rounding in every function, and none that an image cannot hold."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.augment import boxes, cropping, distort, erasing, plane, sample, warp

KEY = jax.random.key(0)
AWAY = plane.translation(np.float32([50, 50]))
FAR = np.full((4, 4, 2), 99, np.float32)
WINDOW = np.array([0, 0, 4, 4])

# Functions that open an image of 4 × 4 pixels everywhere but in the first argument's centre, or everywhere.
OPENING: dict[str, tuple[str, Callable[..., Any]]] = {
    "pad": ("fill", lambda x, fill: cropping.pad(x, padding=1, fill=fill)),
    "random_crop": ("fill", lambda x, fill: cropping.random_crop(KEY, x, size=(6, 6), padding=1, fill=fill)),
    "affine": ("fill", lambda x, fill: warp.affine(x, AWAY, fill=fill)),
    "affine nearest": ("fill", lambda x, fill: warp.affine(x, AWAY, fill=fill, nearest=True)),
    "rotate": ("fill", lambda x, fill: warp.rotate(x, 45.0, fill=fill, nearest=True)),
    "translate": ("fill", lambda x, fill: warp.translate(x, np.float32([9, 9]), fill=fill)),
    "shear": ("fill", lambda x, fill: warp.shear(x, np.float32([9, 0]), fill=fill)),
    "scale": ("fill", lambda x, fill: warp.scale(x, np.float32([0.1, 0.1]), fill=fill)),
    "random_affine": ("fill", lambda x, fill: warp.random_affine(KEY, x, scale=(0.1, 0.1), fill=fill)),
    "random_rotate": ("fill", lambda x, fill: warp.random_rotate(KEY, x, degrees=0.0, fill=fill)),
    "elastic": ("fill", lambda x, fill: distort.elastic(x, FAR, fill=fill)),
    "elastic nearest": ("fill", lambda x, fill: distort.elastic(x, FAR, fill=fill, nearest=True)),
    "random_elastic": ("fill", lambda x, fill: distort.random_elastic(KEY, x, alpha=0.0, sigma=1.0, fill=fill)),
    "erase": ("value", lambda x, fill: erasing.erase(x, WINDOW, fill)),
    "cutout": ("fill", lambda x, fill: erasing.cutout(x, np.array([1, 1]), length=9, fill=fill)),
    "random_cutout": ("fill", lambda x, fill: erasing.random_cutout(KEY, x, length=9, fill=fill)),
    "random_erasing": ("fill", lambda x, fill: erasing.random_erasing(KEY, x, probability=1.0, fill=fill)),
}
STILL = ("random_rotate", "random_elastic")  # they open nothing here
MASKS: dict[str, Callable[..., Any]] = {
    "affine": lambda s, fill: sample.affine_sample(s, AWAY, mask_fill=fill),
    "random_affine": lambda s, fill: sample.random_affine_sample(KEY, s, scale=(0.1, 0.1), mask_fill=fill),
    "random_crop": lambda s, fill: sample.random_crop_sample(KEY, s, size=(6, 6), padding=1, mask_fill=fill),
    "elastic": lambda s, fill: sample.elastic_sample(s, FAR, mask_fill=fill),
    "random_elastic": lambda s, fill: sample.random_elastic_sample(KEY, s, mask_fill=fill),
}
every_function = pytest.mark.parametrize("name", OPENING)


@every_function
def test_a_fill_is_rounded_half_to_even_and_keeps_its_range(name: str) -> None:
    _, function = OPENING[name]
    image = np.full((4, 4, 1), 10, np.uint8)
    filled = jax.jit(lambda x: [function(x, fill) for fill in (2.5, 3.5, 254.7, 0.4)])(image)
    for result, expected in zip(filled, (2, 4, 255, 0), strict=True):
        assert result.dtype == jnp.uint8
        values = set(np.unique(result).tolist())
        assert values == {10} if name in STILL else expected in values
        if name not in ("scale", "random_affine"):  # there are mixtures at the edge
            assert values <= {10, expected}


@every_function
def test_a_fill_that_uint8_cannot_hold_is_refused_by_its_name(name: str) -> None:
    option, function = OPENING[name]
    image = np.zeros((4, 4, 1), np.uint8)
    for fill in (256, -1.0, 255.5, np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"^{option} must lie in \[0, 255\], got {fill}"):
            function(image, fill)
    assert function(image.astype(np.float32), 256.0).dtype == jnp.float32  # a float image holds it


@pytest.mark.parametrize("name", MASKS)
def test_a_fill_of_masks_is_a_class_that_the_mask_can_hold(name: str) -> None:
    given = {"image": np.zeros((4, 4, 1), np.float32), "mask": np.full((4, 4), 3, np.uint8)}
    for fill in (256, -1):
        with pytest.raises(ValueError, match=rf"^mask_fill must lie in \[0, 255\], got {fill}"):
            MASKS[name](given, fill)
    moved = MASKS[name](given, 255)["mask"]
    assert set(np.unique(moved).tolist()) <= {3, 255}
    wide = MASKS[name]({**given, "mask": given["mask"].astype(np.int32)}, -100)["mask"]
    assert wide.dtype == jnp.int32
    assert set(np.unique(wide).tolist()) <= {3, -100}


def test_a_boolean_mask_holds_0_and_1_and_large_integers_stay_exact() -> None:
    mask = np.zeros((2, 2, 1), bool)
    assert cropping.pad(mask, padding=1, fill=1).sum() == 12
    with pytest.raises(ValueError, match=r"^fill must be 0 or 1, got 0.5$"):
        cropping.pad(mask, padding=1, fill=0.5)
    assert cropping.pad(np.zeros((1, 1, 1), np.int32), padding=1, fill=2**31 - 1)[0, 0, 0] == 2**31 - 1


def test_a_traced_fill_is_rounded_and_clipped() -> None:
    image = np.zeros((2, 2, 1), np.uint8)
    fill = jax.jit(lambda value: erasing.erase(image, WINDOW, value)[0, 0, 0])
    assert [int(fill(np.float32(value))) for value in (2.5, 3.5, 300, -4)] == [2, 4, 255, 0]


def test_an_affine_matrix_is_scipys_as_its_docstring_says() -> None:
    from scipy import ndimage

    rng = np.random.default_rng(0)
    image, fill = rng.uniform(size=(7, 9, 2)).astype(np.float32), 0.25
    for matrix in (
        [[1, 0, 2], [0, 1, 3]],
        [[0.83, -0.51, 1.31], [0.29, 1.17, -0.73]],
        [[0.03, 1.47, -2.1], [-0.53, 0.11, 6.07]],
    ):
        matrix = np.float32(matrix)
        back = np.linalg.inv(matrix[:, :2])[::-1, ::-1]
        offset = back @ (0.5 - matrix[::-1, 2]) - 0.5
        for order in (0, 1):
            moved = warp.affine(image, matrix, fill=fill, nearest=order == 0)
            for c in range(2):
                expected = ndimage.affine_transform(
                    image[..., c], back, offset, order=order, mode="grid-constant", cval=fill
                )
                np.testing.assert_allclose(moved[..., c], expected, atol=1e-5)
    np.testing.assert_array_equal(warp.affine(image, np.float32([[1, 0, 2], [0, 1, 3]]))[3:, 2:], image[:-3, :-2])
    corner = np.float32([[0, 0, 1, 1]])  # the box of the first pixel, in the same convention
    np.testing.assert_array_equal(boxes.move_boxes(corner, np.float32([[1, 0, 2], [0, 1, 3]])), [[2, 3, 3, 4]])
