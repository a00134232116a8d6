from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from fjdl.augment import combine, policy

# Pillow's form of each operation at strength 2/3 of RandAugment, with the sign.
PILLOW: dict[int, Any] = {
    0: lambda x, sign: x,
    1: lambda x, sign: ImageOps.autocontrast(x),
    2: lambda x, sign: ImageOps.equalize(x),
    3: lambda x, sign: x.rotate(20 * sign),
    4: lambda x, sign: ImageOps.solarize(x, 86),
    5: lambda x, sign: ImageOps.posterize(x, 5),
    6: lambda x, sign: ImageEnhance.Color(x).enhance(1 + 0.6 * sign),
    7: lambda x, sign: ImageEnhance.Contrast(x).enhance(1 + 0.6 * sign),
    8: lambda x, sign: ImageEnhance.Brightness(x).enhance(1 + 0.6 * sign),
    9: lambda x, sign: ImageEnhance.Sharpness(x).enhance(1 + 0.6 * sign),
}


def keys(count: int) -> Any:
    return jax.random.split(jax.random.key(5), count)


def test_operations_of_rand_augment_equal_pillow(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    operate = jax.jit(policy.operate)
    for number, change in PILLOW.items():
        for sign in (1, -1):
            actual = np.asarray(operate(image, np.int32(number), np.float32(sign * 2 / 3)), int)
            wrong = abs(actual - np.asarray(change(Image.fromarray(image), sign), int)) > (number > 5)
            assert wrong.mean() < 0.01, (
                number
            )  # 1.6 in float32 drops another fraction; a turned pixel may hold a border
    for number, strength, expected in (
        (12, 331 / 150 / 20, np.pad(image, ((1, 0), (0, 0), (0, 0)))[:-1]),
        (13, -331 / 150 / 12, np.pad(image, ((0, 0), (0, 2), (0, 0)))[:, 2:]),
    ):
        np.testing.assert_array_equal(operate(image, np.int32(number), np.float32(strength)), expected)
    for number, axis in ((10, 0), (11, 1)):
        sheared = np.swapaxes(operate(image, np.int32(number), np.float32(1)), 0, axis)
        still = np.swapaxes(image, 0, axis)
        middle = still.shape[1] // 2 - 1  # its centre is half a pixel from that of the image, and so stays
        np.testing.assert_array_equal(sheared[:, middle], still[:, middle])
        assert np.any(sheared[:, 0] != still[:, 0])


def marked(count: int) -> Any:
    """Operations that write their number and add their strength."""
    return [lambda image, strength, i=i: image.at[0, 0, 0].set(i).at[0, 0, 1].add(strength) for i in range(count)]


def test_rand_augment_draws_operations_and_signs_equally() -> None:
    one = partial(policy.rand_augment, image=jnp.zeros((1, 1, 2)), count=1, magnitude=15.0, operations=marked(4))
    number, strength = np.asarray(jax.jit(jax.vmap(one))(keys(4000)))[:, 0, 0].T
    assert abs(np.bincount(number.astype(int)) - 1000).max() < 5 * np.sqrt(750)
    assert set(np.unique(strength)) == {-0.5, 0.5}
    assert abs(np.mean(strength)) < 0.5 * 5 / np.sqrt(4000)


def test_trivial_augment_draws_one_operation_and_31_strengths_of_either_sign() -> None:
    one = partial(policy.trivial_augment, image=jnp.zeros((1, 1, 2)), operations=marked(4))
    number, strength = np.asarray(jax.jit(jax.vmap(one))(keys(8000)))[:, 0, 0].T
    assert abs(np.bincount(number.astype(int)) - 2000).max() < 5 * np.sqrt(1500)
    steps = np.round(strength * 30)
    np.testing.assert_allclose(strength, steps / 30, atol=1e-6)
    counts = np.bincount(np.abs(steps).astype(int), minlength=31)
    assert len(counts) == 31
    assert abs(counts - 8000 / 31).max() < 5 * np.sqrt(8000 / 31)


def test_choose_one_and_apply_with_probability_keep_their_probabilities() -> None:
    add = [lambda key, x, i=i: x + i for i in (0.0, 1.0, 2.0)]
    chosen = combine.choose_one(*add, probabilities=(0.5, 0.2, 0.3))
    sometimes = combine.apply_with_probability(lambda key, x: x + 1, probability=0.3)
    both = jax.jit(jax.vmap(lambda key: (chosen(key, jnp.zeros(())), sometimes(key, jnp.zeros(())))))
    which, happened = map(np.asarray, both(keys(4000)))
    counts = np.bincount(which.astype(int))
    assert abs(counts - np.array([2000, 800, 1200])).max() < 5 * np.sqrt(1000)
    assert abs(happened.sum() - 1200) < 5 * np.sqrt(840)


def test_bad_policies_are_named() -> None:
    key, image = jax.random.key(0), np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"^magnitude must lie in \[0, 30\], got 31$"):
        policy.rand_augment(key, image, magnitude=31)
    with pytest.raises(ValueError, match=r"^count must not be negative, got -1$"):
        policy.rand_augment(key, image, count=-1)
    with pytest.raises(ValueError, match=r"^functions must be at least one with a probability for each, got 0$"):
        combine.choose_one()
    with pytest.raises(ValueError, match=r"^functions must be at least one with a probability for each, got 1$"):
        combine.choose_one(lambda key, x: x, probabilities=(0.5, 0.5))
    with pytest.raises(ValueError, match=r"^probabilities must not be negative and sum to 1, got"):
        combine.choose_one(lambda key, x: x, probabilities=(0.5,))
    with pytest.raises(ValueError, match=r"^probability must lie in \[0, 1\], got 2$"):
        combine.apply_with_probability(lambda key, x: x, probability=2)
