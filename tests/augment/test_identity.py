"""Amounts that change nothing give the image bit for bit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.augment import blur, color, cropping, distort, erasing, geometry, mix, noise, policy, resize, tone, warp

SIZE = (5, 7)
NONE: dict[str, Callable[[Any, Any], Any]] = {
    "shift": lambda x, zero: geometry.shift(x, jnp.zeros(2, jnp.int32), most=2),
    "crop": lambda x, zero: cropping.crop(cropping.pad(x, padding=1), jnp.ones(2, jnp.int32), size=SIZE),
    "rotate": lambda x, zero: warp.rotate(x, zero),
    "rotate nearest": lambda x, zero: warp.rotate(x, zero, nearest=True),
    "translate": lambda x, zero: warp.translate(x, jnp.stack([zero, zero])),
    "shear": lambda x, zero: warp.shear(x, jnp.stack([zero, zero])),
    "scale": lambda x, zero: warp.scale(x, jnp.stack([1 - zero, 1 + zero])),
    "resized crop": lambda x, zero: resize.resized_crop(x, jnp.array([0, 0, *SIZE]), size=SIZE),
    "resized crop nearest": lambda x, zero: resize.resized_crop(x, jnp.array([0, 0, *SIZE]), size=SIZE, nearest=True),
    "brightness": lambda x, zero: color.brightness(x, 1 + zero),
    "contrast": lambda x, zero: color.contrast(x, 1 + zero),
    "saturation": lambda x, zero: color.saturation(x, 1 + zero),
    "hue": lambda x, zero: color.hue(x, zero),
    "hue of a whole turn": lambda x, zero: color.hue(x, zero - 1),
    "grayscale": lambda x, zero: color.grayscale(x, zero > 0),
    "jitter": lambda x, zero: color.random_color_jitter(jax.random.key(0), x),
    "quarter turns": lambda x, zero: geometry.rot90(x, 4),
    "centre crop": lambda x, zero: cropping.centre_crop(x, size=SIZE),
    "elastic": lambda x, zero: distort.elastic(x, jnp.broadcast_to(zero, (*SIZE, 2))),
    "elastic nearest": lambda x, zero: distort.elastic(x, jnp.broadcast_to(zero, (*SIZE, 2)), nearest=True),
    "gamma": lambda x, zero: tone.gamma(x, 1 + zero),
    "sharpness": lambda x, zero: tone.sharpness(x, 1 + zero),
    "posterize": lambda x, zero: tone.posterize(x, 8),
    "solarize": lambda x, zero: tone.solarize(x, 256 + zero),
    "blur": lambda x, zero: blur.gaussian_blur(x, zero, radius=2),
    "blur of radius 0": lambda x, zero: blur.gaussian_blur(x, 1 + zero, radius=0),
    "noise": lambda x, zero: noise.add_noise(x, jnp.broadcast_to(zero, (1, 1, 1))),
    "cutout": lambda x, zero: erasing.cutout(x, jnp.array([2, 2]), length=0),
    "erasing": lambda x, zero: erasing.random_erasing(jax.random.key(0), x, probability=0.0),
    "mixup": lambda x, zero: mix.mixup(
        {"image": x[None], "label": jnp.zeros(1, jnp.int32)}, jnp.zeros(1, jnp.int32), 1 + zero[None], classes=2
    )["image"][0],
    "no operation": lambda x, zero: policy.rand_augment(jax.random.key(0), x, count=0),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_nothing_changes(rng: np.random.Generator, dtype: Any) -> None:
    image = rng.integers(0, 256, (*SIZE, 3)).astype(dtype)
    image = image if dtype == np.uint8 else rng.uniform(size=image.shape).astype(dtype)
    image[0] = image[1, 0] = 0
    image[-1] = image[1, 1] = 255 if dtype == np.uint8 else 1
    results = jax.jit(lambda x, zero: {name: function(x, zero) for name, function in NONE.items()})(
        image, np.float32(0)
    )
    for name, result in results.items():
        assert result.dtype == dtype, name
        np.testing.assert_array_equal(result, image, err_msg=name)


def test_strength_zero_of_a_policy_is_the_identity_of_all_but_autocontrast_and_equalize(
    rng: np.random.Generator,
) -> None:
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    every = [o for i, o in enumerate(policy.TRIVIAL_AUGMENT_WIDE) if i not in (1, 2)]
    for result in jax.jit(lambda x, zero: [operation(x, zero) for operation in every])(image, np.float32(0)):
        np.testing.assert_array_equal(result, image)
