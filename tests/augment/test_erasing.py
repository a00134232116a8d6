import jax
import numpy as np
import pytest

from fjdl.augment import erasing, window


def expected_cutout(image: np.ndarray, y: int, x: int, length: int) -> np.ndarray:
    image, top, left = image.copy(), y - length // 2, x - length // 2
    image[max(top, 0) : max(top + length, 0), max(left, 0) : max(left + length, 0)] = 7
    return image


@pytest.mark.parametrize("length", [1, 4, 5, 40])
def test_cutout_is_a_square_cut_off_at_the_border(rng: np.random.Generator, length: int) -> None:
    image = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    cut = jax.jit(lambda centre: erasing.cutout(image, centre, length=length, fill=7))
    for y, x in ((0, 0), (3, 4), (5, 8), (0, 8)):
        np.testing.assert_array_equal(cut(np.array([y, x])), expected_cutout(image, y, x, length))


def test_random_cutout_centres_on_every_pixel() -> None:
    image = np.ones((3, 4, 1), np.float32)
    keys = jax.random.split(jax.random.key(0), 6000)
    kept = jax.jit(jax.vmap(lambda key: erasing.random_cutout(key, image, length=1)))(keys)
    gone = (1 - np.asarray(kept)).sum(axis=(0, 3))
    assert gone.sum() == 6000
    assert abs(gone - 500).max() < 5 * np.sqrt(500)


def test_windows_beyond_the_image_and_empty_ones_cover_what_is_left() -> None:
    cover = jax.jit(lambda w: window.covered(w, size=(3, 4)))
    np.testing.assert_array_equal(cover(np.array([-1, -2, 2, 3])), np.arange(12).reshape(3, 4) == 0)
    np.testing.assert_array_equal(cover(np.array([2, 3, 9, 9])), np.arange(12).reshape(3, 4) == 11)
    assert not cover(np.array([1, 1, 0, 5])).any()
    assert not cover(np.array([1, 1, -3, 5])).any()


def test_erased_pixels_take_the_values_of_an_image(rng: np.random.Generator) -> None:
    image, other = rng.integers(0, 256, (2, 3, 4, 1), dtype=np.uint8)
    result = jax.jit(erasing.erase)(image, np.array([1, 1, 1, 2]), other.astype(np.float32))
    expected = image.copy()
    expected[1, 1:3] = other[1, 1:3]
    np.testing.assert_array_equal(result, expected)
