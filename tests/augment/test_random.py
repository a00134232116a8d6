"""What every function that draws promises, and the distributions that they draw from."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from fjdl.augment import (
    blur,
    color,
    cropping,
    distort,
    erasing,
    geometry,
    iou_crop,
    mix,
    mosaics,
    noise,
    placing,
    plane,
    policy,
    resize,
    sample,
    tone,
    warp,
    window,
)

IMAGES: dict[str, Callable[..., Any]] = {
    "shift": partial(geometry.random_shift, most=2),
    "mirror": geometry.random_mirror,
    "flip_vertical": geometry.random_flip_vertical,
    "crop": partial(cropping.random_crop, size=(5, 6), padding=4, reflect=True),
    "grayscale": partial(color.random_grayscale, probability=0.5),
    "color_jitter": partial(color.random_color_jitter, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    "gaussian_blur": partial(blur.random_gaussian_blur, radius=2),
    "gaussian_noise": partial(noise.random_gaussian_noise, deviation=0.1),
    "salt_and_pepper": partial(noise.random_salt_and_pepper, probability=0.3),
    "affine": partial(warp.random_affine, translate=1.0, shear=0.1, scale=(0.5, 2.0)),
    "rotate": partial(warp.random_rotate, degrees=20.0),
    "resized_crop": partial(resize.random_resized_crop, size=(5, 6)),
    "rot90": geometry.random_rot90,
    "elastic": partial(distort.random_elastic, alpha=20.0, sigma=2.0),
    "gamma": tone.random_gamma,
    "erasing": partial(erasing.random_erasing, noise=True),
    "cutout": partial(erasing.random_cutout, length=2),
    "rand_augment": policy.rand_augment,
    "trivial_augment": policy.trivial_augment,
    "zoom": placing.random_zoom,
    "zoom_out": placing.random_zoom_out,
}
SAMPLES: dict[str, Callable[..., Any]] = {
    "affine": partial(sample.random_affine_sample, translate=1.0, shear=0.1, scale=(0.5, 2.0)),
    "mirror": sample.random_mirror_sample,
    "flip_vertical": sample.random_flip_vertical_sample,
    "crop": partial(sample.random_crop_sample, size=(5, 6), padding=4),
    "rot90": sample.random_rot90_sample,
    "elastic": partial(sample.random_elastic_sample, alpha=20.0, sigma=2.0),
    "resized_crop": partial(sample.random_resized_crop_sample, size=(5, 6)),
    "zoom": placing.random_zoom_sample,
    "zoom_out": placing.random_zoom_out_sample,
    "iou_crop": partial(iou_crop.random_iou_crop_sample, size=(5, 6)),
}
MOSAICS: list[Callable[..., Any]] = [mosaics.random_mosaic]
MIXTURES: list[Callable[..., Any]] = [mix.random_mixup, mix.random_cutmix]
every_dtype = pytest.mark.parametrize("dtype", [jnp.uint8, jnp.bfloat16, jnp.float32], ids=lambda d: d.__name__)


def keys(count: int) -> Any:
    return jax.random.split(jax.random.key(3), count)


def near(values: Any, mean: float, deviation: float) -> None:
    """Fails where the mean of the values is five standard errors away."""
    values = np.asarray(values, np.float64)
    assert abs(values.mean() - mean) < 5 * deviation / np.sqrt(values.size)


@every_dtype
@pytest.mark.parametrize("name", IMAGES)
def test_shape_and_dtype_stay_under_strict_promotion(name: str, dtype: Any) -> None:
    image = jax.ShapeDtypeStruct((5, 6, 3), dtype)
    with jax.numpy_dtype_promotion("strict"):
        result = jax.eval_shape(IMAGES[name], jax.random.key(0), image)
    assert (result.shape, result.dtype) == (image.shape, image.dtype)


@every_dtype
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_keep_their_shapes_and_dtypes_under_strict_promotion(name: str, dtype: Any) -> None:
    given = {
        "image": jax.ShapeDtypeStruct((5, 6, 3), dtype),
        "mask": jax.ShapeDtypeStruct((5, 6), jnp.uint8),
        "boxes": jax.ShapeDtypeStruct((7, 4), jnp.float32),
        "valid": jax.ShapeDtypeStruct((7,), jnp.bool_),
    }
    with jax.numpy_dtype_promotion("strict"):
        result = jax.eval_shape(SAMPLES[name], jax.random.key(0), given)
    assert {k: (v.shape, v.dtype) for k, v in result.items()} == {k: (v.shape, v.dtype) for k, v in given.items()}


@pytest.mark.parametrize("function", MIXTURES)
@every_dtype
def test_mixtures_keep_shapes_and_dtypes_under_strict_promotion(function: Callable[..., Any], dtype: Any) -> None:
    batch = {"image": jax.ShapeDtypeStruct((4, 5, 6, 3), dtype), "label": jax.ShapeDtypeStruct((4,), jnp.uint8)}
    with jax.numpy_dtype_promotion("strict"):
        result = jax.eval_shape(partial(function, classes=3), jax.random.key(0), batch)
    assert {k: (v.shape, v.dtype) for k, v in result.items()} == {
        "image": ((4, 5, 6, 3), dtype),
        "label": ((4,), jnp.uint8),
        "target": ((4, 3), jnp.float32),
    }


@every_dtype
@pytest.mark.parametrize("function", MOSAICS)
def test_mosaics_keep_shapes_and_dtypes_under_strict_promotion(function: Callable[..., Any], dtype: Any) -> None:
    batch = {
        "image": jax.ShapeDtypeStruct((4, 5, 6, 3), dtype),
        "mask": jax.ShapeDtypeStruct((4, 5, 6), jnp.uint8),
        "boxes": jax.ShapeDtypeStruct((4, 7, 4), jnp.float32),
        "labels": jax.ShapeDtypeStruct((4, 7), jnp.int32),
        "area": jax.ShapeDtypeStruct((4, 7), jnp.float32),
        "valid": jax.ShapeDtypeStruct((4, 7), jnp.bool_),
    }
    with jax.numpy_dtype_promotion("strict"):
        result = jax.eval_shape(function, jax.random.key(0), batch)
    assert {k: (v.shape, v.dtype) for k, v in result.items()} == {k: (v.shape, v.dtype) for k, v in batch.items()}


@pytest.mark.by_day_on_pin(1)
def test_a_sample_is_moved_as_its_image_alone_and_the_same_key_gives_the_same(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    alone = {**IMAGES, "crop": partial(cropping.random_crop, size=(5, 6), padding=4)}
    alone["iou_crop"] = lambda key, image: image  # without boxes it crops nothing

    @jax.jit
    def both(key: Any) -> Any:
        return {
            name: (alone[name](key, image), function(key, {"image": image})["image"])
            for name, function in SAMPLES.items()
        }

    for key in keys(4):
        first, again = both(key), both(key)
        for name, (one, two) in first.items():
            np.testing.assert_array_equal(one, two, err_msg=name)
            np.testing.assert_array_equal(one, again[name][0], err_msg=name)


def test_every_crop_is_equally_likely() -> None:
    image = np.arange(30, dtype=np.int32).reshape(5, 6, 1)
    drawn = jax.jit(jax.vmap(lambda key: cropping.random_crop(key, image, size=(3, 4))[0, 0, 0]))(keys(9000))
    corners, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(corners, [0, 1, 2, 6, 7, 8, 12, 13, 14])
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_windows_have_their_area_their_ratio_and_a_place_inside() -> None:
    draw = partial(window.random_window, size=(500, 600), area=(0.1, 0.4), ratio=(0.5, 2.0))
    drawn, found = jax.jit(jax.vmap(draw))(keys(4000))
    top, left, height, width = np.asarray(drawn, np.float64).T
    assert found.all()
    assert (np.minimum(top, left) >= 0).all()
    assert (top + height <= 500).all()
    assert (left + width <= 600).all()
    area, ratio = height * width / 300_000, width / height
    assert area.min() > 0.098
    assert area.max() < 0.402
    assert ratio.min() > 0.49
    assert ratio.max() < 2.04
    near(area, 0.25, 0.3 / np.sqrt(12))
    near(np.log(ratio), 0.0, 2 * np.log(2) / np.sqrt(12))
    near(top / (500 - height), 0.5, 1 / np.sqrt(12))
    near(left / (600 - width), 0.5, 1 / np.sqrt(12))


def test_a_window_that_cannot_lie_inside_is_the_whole_image() -> None:
    draw = partial(window.random_window, size=(4, 40), area=(0.9, 1.0), ratio=(0.5, 1.0))
    drawn, found = jax.jit(jax.vmap(draw))(keys(5))
    assert not found.any()
    np.testing.assert_array_equal(drawn, [[0, 0, 4, 40]] * 5)


def test_random_maps_stay_in_their_bounds() -> None:
    options = {"degrees": 30.0, "translate": 2.0, "scale": (0.5, 2.0)}
    draw = jax.jit(jax.vmap(lambda key: plane.random_matrix(key, size=(8, 6), **options)))
    drawn = np.asarray(draw(keys(4000)), np.float64)
    factor = np.sqrt(np.linalg.det(drawn[:, :, :2]))
    assert factor.min() > 0.499
    assert factor.max() < 2.001
    near(factor, 1.25, 1.5 / np.sqrt(12))
    degrees = np.rad2deg(np.arctan2(drawn[:, 0, 1], drawn[:, 0, 0]))
    assert abs(degrees).max() < 30.001
    near(degrees, 0, 60 / np.sqrt(12))
    centre = drawn @ np.array([3.0, 4.0, 1.0]) - [3.0, 4.0]
    assert abs(centre).max() < 2.001
    near(centre, 0, 4 / np.sqrt(12))


def test_random_shears_have_both_slopes() -> None:
    draw = jax.jit(jax.vmap(lambda key: plane.random_matrix(key, size=(8, 6), shear=0.3)))
    drawn = np.asarray(draw(keys(1000)))
    for slope in (drawn[:, 0, 1], drawn[:, 1, 0]):
        assert abs(slope).max() < 0.3001
        near(slope, 0, 0.6 / np.sqrt(12))


def test_erasing_happens_with_its_probability_inside_its_area() -> None:
    image = np.ones((20, 20, 1), np.float32)
    draw = partial(erasing.random_erasing, image=image, probability=0.25, area=(0.1, 0.2))
    gone = 1 - np.asarray(jax.jit(jax.vmap(draw))(keys(2000))).mean(axis=(1, 2, 3))
    near(gone > 0, 0.25, np.sqrt(0.25 * 0.75))
    assert gone[gone > 0].min() > 0.08
    assert gone.max() < 0.22


def test_quarter_turns_are_equally_likely_and_keep_the_shape() -> None:
    square, wide = np.arange(4, dtype=np.int32).reshape(2, 2, 1), np.arange(2, dtype=np.int32).reshape(1, 2, 1)
    draw = jax.jit(jax.vmap(lambda key: (geometry.random_rot90(key, square), geometry.random_rot90(key, wide))))
    turned, halves = (np.asarray(images)[..., 0] for images in draw(keys(4000)))
    counts = [np.all(turned == np.rot90(square[..., 0], k), axis=(1, 2)).sum() for k in range(4)]
    assert sum(counts) == 4000
    assert abs(np.array(counts) - 1000).max() < 5 * np.sqrt(750)
    near(halves[:, 0, 0], 0.5, 0.5)


def test_exponents_have_a_uniform_logarithm() -> None:
    draw = jax.jit(
        jax.vmap(partial(tone.random_gamma, image=np.full((1, 1, 1), 0.5, np.float32), exponents=(0.5, 4.0)))
    )
    exponent = -np.log2(np.asarray(draw(keys(2000)))).ravel()
    assert exponent.min() > 0.499
    assert exponent.max() < 4.001
    near(np.log2(exponent), 0.5, 3 / np.sqrt(12))


def test_displacements_are_smoothed_uniform_numbers() -> None:
    options = {"alpha": 30.0, "sigma": 3.0}
    drawn = np.asarray(distort.random_displacement(jax.random.key(0), size=(120, 90), **options), np.float64)
    raw = np.asarray(jax.random.uniform(jax.random.key(0), (120, 90, 2), np.float32, -1, 1), np.float64)
    expected = 30 * ndimage.gaussian_filter(raw, (3, 3, 0))
    np.testing.assert_allclose(drawn, expected, atol=1e-4)
    np.testing.assert_allclose(drawn.std(), 30 / np.sqrt(3) / (2 * np.sqrt(np.pi) * 3), rtol=0.15)


def test_noise_has_its_deviation_and_its_probabilities() -> None:
    grey = np.full((100, 100, 1), 0.5, np.float32)
    noisy = noise.random_gaussian_noise(jax.random.key(0), grey, deviation=0.05)
    near(noisy - grey, 0, 0.05)
    np.testing.assert_allclose(np.std(noisy), 0.05, rtol=0.03)
    lost = noise.random_salt_and_pepper(jax.random.key(0), grey, probability=0.3)
    near(lost == 1, 0.15, np.sqrt(0.15 * 0.85))
    near(lost == 0, 0.15, np.sqrt(0.15 * 0.85))


def test_strengths_of_colour_bound_the_factor_and_leave_the_rest() -> None:
    grey = np.full((1, 1, 3), 0.25, np.float32)
    draw = jax.jit(jax.vmap(partial(color.random_color_jitter, image=grey, brightness=0.4)))
    factor = np.asarray(draw(keys(2000)))[:, 0, 0, 0] / 0.25
    assert factor.min() > 0.599
    assert factor.max() < 1.401
    near(factor, 1.0, 0.8 / np.sqrt(12))
