"""Options out of range are refused in one sentence."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from fjdl.augment import blur, color, cropping, erasing, geometry, noise, resize, tone, warp, window

IMAGE = np.zeros((4, 5, 3), np.float32)
RANDOM: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (geometry.random_flip_vertical, {"probability": -0.1}, r"^probability must lie in \[0, 1\], got -0.1"),
    (
        cropping.random_crop,
        {"size": (9, 2)},
        r"^size must be positive and at most that of the image, \(4, 5\), got \(9, 2\)",
    ),
    (cropping.random_crop, {"size": (4, 5), "padding": -1}, "^padding must not be negative, got -1"),
    (cropping.random_crop, {"size": (4, 5), "padding": 4, "reflect": True}, "^padding must be smaller than the image"),
    (color.random_grayscale, {"probability": 2.0}, r"^probability must lie in \[0, 1\], got 2.0"),
    (color.random_color_jitter, {"contrast": -1.0}, "^contrast must not be negative, got -1.0"),
    (color.random_color_jitter, {"hue": 0.6}, r"^hue must lie in \[0, 0.5\], got 0.6"),
    (blur.random_gaussian_blur, {"sigma": (2.0, 1.0)}, r"^sigma must ascend within \(0, inf\], got \(2.0, 1.0\)"),
    (blur.random_gaussian_blur, {"radius": -1}, "^radius must not be negative, got -1"),
    (noise.random_gaussian_noise, {"deviation": -1.0}, "^deviation must not be negative, got -1.0"),
    (noise.random_salt_and_pepper, {"probability": 1.1}, r"^probability must lie in \[0, 1\], got 1.1"),
    (warp.random_affine, {"shear": -1.0}, "^shear must not be negative, got -1.0"),
    (warp.random_affine, {"scale": (0.0, 1.0)}, r"^scale must ascend within \(0, inf\], got \(0.0, 1.0\)"),
    (warp.random_rotate, {"degrees": -1.0}, "^degrees must not be negative, got -1.0"),
    (resize.random_resized_crop, {"size": (0, 2)}, r"^size must be positive, got \(0, 2\)"),
    (resize.random_resized_crop, {"size": (2, 2), "area": (0.5, 1.5)}, r"^area must ascend within \(0, 1\], got"),
    (erasing.random_erasing, {"probability": np.nan}, r"^probability must lie in \[0, 1\], got nan"),
    (erasing.random_erasing, {"ratio": (0.0, 1.0)}, r"^ratio must ascend within \(0, inf\], got"),
    (erasing.random_cutout, {"length": -1}, "^length must not be negative, got -1"),
]


@pytest.mark.parametrize(("function", "options", "sentence"), RANDOM)
def test_functions_that_draw(function: Callable[..., Any], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):  # JAX appends a line on its traceback
        jax.eval_shape(partial(function, **options), jax.random.key(0), IMAGE)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: tone.posterize(IMAGE, 9), r"^bits must lie in \[0, 8\], got 9$"),
        (lambda: cropping.crop(IMAGE, np.zeros(2, int), size=(0, 2)), "^size must be positive"),
        (lambda: resize.resized_crop(IMAGE > 0, np.zeros(4, int), size=(2, 2)), "^bilinear sampling needs numbers"),
        (
            lambda: window.random_window(jax.random.key(0), size=(4, 4), area=(0.5, 0.1), ratio=(1, 1)),
            "^area must ascend",
        ),
    ],
)
def test_functions_that_do_not(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


def test_images_are_float_or_uint8_with_three_axes() -> None:
    for image in (np.zeros((4, 5), np.float32), np.zeros((4, 5, 3), np.int32)):
        with pytest.raises(ValueError, match=r"^brightness: argument `image` must be "):
            color.brightness(image, 1.0)
