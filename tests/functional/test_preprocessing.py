"""Preprocessing computes in float32 whatever comes in, and rounds once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import PolynomialFeatures

from fjdl.functional import encoding, preprocessing, scaling, whitening
from fjdl.tree import cast

MEAN, STD = 1001.9, 50.0
SHIFT, SCALE = np.array([MEAN, 10.1, -3.0]), np.array([STD, 0.3, 1e-3])
MATRIX = np.array([[0.02, 0.001, 0.0], [0.0, 3.0, 0.1], [-0.01, 0.2, 300.0]])
STATE = scaling.Scaling(*map(jnp.float32, (SHIFT, SCALE)))
WHITE = whitening.Whitening(*map(jnp.float32, (SHIFT, MATRIX, np.linalg.inv(MATRIX))))

# Ours, and the same of float64 numbers.
FORMS: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "standardize": (
        lambda x: preprocessing.standardize(x, mean=tuple(SHIFT), std=tuple(SCALE)),
        lambda x: (x - SHIFT) / SCALE,
    ),
    "transform": (lambda x: scaling.transform(STATE, x), lambda x: (x - SHIFT) / SCALE),
    "inverse_transform": (lambda x: scaling.inverse_transform(STATE, x), lambda x: x * SCALE + SHIFT),
    "whiten": (lambda x: whitening.whiten(WHITE, x), lambda x: (x - SHIFT) @ MATRIX),
    "unwhiten": (lambda x: whitening.unwhiten(WHITE, x), lambda x: x @ np.linalg.inv(MATRIX) + SHIFT),
    "polynomial": (
        lambda x: encoding.polynomial_features(x / 1024, degree=3),
        lambda x: PolynomialFeatures(3).fit_transform(x / 1024),
    ),
}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", FORMS)
def test_the_result_is_that_of_float64_rounded_once(name: str, dtype: Any, rng: np.random.Generator) -> None:
    ours, exact = FORMS[name]
    x = jnp.asarray(SHIFT + SCALE * rng.standard_normal((200, 3)), dtype)
    actual, expected = ours(x), exact(np.asarray(x, np.float64))
    assert actual.dtype == dtype
    ulp = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(np.asarray(actual, np.float64), expected, rtol=0.51 * ulp, atol=4e-3 * ulp)


def test_standardized_bfloat16_of_a_large_mean_is_not_biased(rng: np.random.Generator) -> None:
    x = jnp.asarray(MEAN + STD * rng.standard_normal(20_000), jnp.bfloat16)
    exact = (np.asarray(x, np.float64) - MEAN) / STD
    actual = np.asarray(preprocessing.standardize(x, mean=MEAN, std=STD), np.float64)
    assert abs(np.mean(actual - exact)) < 1e-3  # the mean itself, rounded to bfloat16, would give 0.037


def test_a_deviation_of_a_hundred_thousandth_is_finite_in_float16() -> None:
    x = jnp.asarray([0.0, 1e-5, -2e-5], jnp.float16)
    expected = np.asarray(x, np.float64) / 1e-5
    for actual in (
        preprocessing.standardize(x, mean=0.0, std=1e-5),
        scaling.transform(scaling.Scaling(jnp.zeros(3), jnp.full(3, 1e-5)), x),
    ):
        np.testing.assert_allclose(np.asarray(actual, np.float64), expected, rtol=1e-3)


@pytest.mark.parametrize("fit", [scaling.fit_mean, scaling.fit_scale, scaling.fit_standard, scaling.fit_min_max])
def test_fits_of_bfloat16_are_those_of_its_values_in_float32(fit: Any, rng: np.random.Generator) -> None:
    x = jnp.asarray(MEAN + STD * rng.standard_normal((50, 2)), jnp.bfloat16)
    for half, full in zip(fit(x), fit(x.astype(jnp.float32)), strict=True):
        assert half.dtype == jnp.float32
        np.testing.assert_array_equal(half, full)


def test_a_state_in_bfloat16_is_computed_with_in_float32(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((5, 3)), jnp.float32)
    for function, state in ((scaling.transform, STATE), (scaling.inverse_transform, STATE), (whitening.whiten, WHITE)):
        half = cast(state, jnp.bfloat16)
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), half)
        np.testing.assert_allclose(function(half, x), function(wide, x), rtol=1e-6)


def test_pixels_become_float32_of_0_to_1() -> None:
    scaled = preprocessing.scale_pixels(np.array([0, 51, 255], np.uint8))
    assert scaled.dtype == jnp.float32
    np.testing.assert_allclose(scaled, [0, 0.2, 1], rtol=1e-6)
