import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from fjdl.augment import each_image, mirror, random_mirror, random_shift, shift


@pytest.mark.parametrize("offset", [(0, 0), (1, -2), (-3, 3), (2, 0)])
def test_shift_equals_scipy(rng: np.random.Generator, offset: tuple[int, int]) -> None:
    image = rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)
    actual = shift(image, jnp.array(offset), most=3)
    np.testing.assert_array_equal(actual, ndimage.shift(image, (*offset, 0), order=0))
    assert actual.dtype == jnp.uint8


def test_shift_clips_the_offset_and_zero_most_changes_nothing(rng: np.random.Generator) -> None:
    image = rng.standard_normal((4, 4, 1)).astype(np.float32)
    np.testing.assert_array_equal(shift(image, jnp.array([9, 0]), most=1), ndimage.shift(image, (1, 0, 0), order=0))
    np.testing.assert_array_equal(shift(image, jnp.array([9, -9]), most=0), image)


def test_random_shift_reaches_every_offset_equally() -> None:
    image = np.zeros((5, 5, 1), np.float32)
    image[2, 2] = 1
    keys = jax.random.split(jax.random.key(0), 9000)
    counts = np.asarray(jax.vmap(lambda key: random_shift(key, image, most=1))(keys)).sum(axis=0)[1:4, 1:4, 0]
    assert counts.sum() == 9000
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_mirror_equals_fliplr(rng: np.random.Generator) -> None:
    image = rng.standard_normal((3, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(mirror(image, jnp.array(True)), np.fliplr(image))
    np.testing.assert_array_equal(mirror(image, jnp.array(False)), image)


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.5, 400, 600), (1.0, 1000, 1000)])
def test_random_mirror_flips_with_its_probability(probability: float, low: int, high: int) -> None:
    image = jnp.array([[[1.0], [0.0]]])
    keys = jax.random.split(jax.random.key(1), 1000)
    flipped = jax.vmap(lambda key: random_mirror(key, image, probability=probability))(keys)[:, 0, 1, 0].sum()
    assert low <= flipped <= high


def test_each_image_gives_every_image_its_own_key_and_leaves_the_rest() -> None:
    batch = {"image": jnp.ones((16, 6, 6, 1)), "label": jnp.arange(16)}
    augment = jax.jit(each_image(lambda key, image: image * jax.random.uniform(key)))
    out = augment(jax.random.key(0), batch)
    assert len(np.unique(out["image"][:, 0, 0, 0])) == 16
    np.testing.assert_array_equal(out["label"], batch["label"])
    np.testing.assert_array_equal(out["image"], augment(jax.random.key(0), batch)["image"])


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="most must not be negative, got -1"):
        shift(jnp.zeros((2, 2, 1)), jnp.array([0, 0]), most=-1)
    with pytest.raises(ValueError, match=r"probability must lie in \[0, 1\], got 1.5"):
        random_mirror(jax.random.key(0), jnp.zeros((2, 2, 1)), probability=1.5)
