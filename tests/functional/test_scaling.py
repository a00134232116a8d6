from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from fjdl.functional import scaling
from tests.support import float64

PAIRS: dict[str, tuple[Callable[..., scaling.Scaling], Any]] = {
    "mean": (scaling.fit_mean, StandardScaler(with_std=False)),
    "scale": (scaling.fit_scale, StandardScaler(with_mean=False)),
    "standard": (scaling.fit_standard, StandardScaler()),
    "min_max": (scaling.fit_min_max, MinMaxScaler()),
    "min_max wide": (lambda x: scaling.fit_min_max(x, low=-1.0, high=3.0), MinMaxScaler((-1.0, 3.0))),
}


def table(rng: np.random.Generator) -> np.ndarray:
    """Features of different size, one of them constant."""
    return np.concatenate([rng.standard_normal((20, 3)) * [1, 100, 1e-3] + [0, 1e4, 5], np.full((20, 1), 7.0)], axis=1)


@pytest.mark.parametrize("name", PAIRS)
def test_equals_scikit_learn_on_new_data_and_back(name: str, rng: np.random.Generator) -> None:
    fit, oracle = PAIRS[name]
    with float64():
        train, new = table(rng), table(rng)
        state = fit(train)
        expected = oracle.fit(train).transform(new)
        np.testing.assert_allclose(scaling.transform(state, new), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(scaling.inverse_transform(state, expected), new, rtol=1e-9)


def test_float32_stays_accurate_for_a_mean_of_10000(rng: np.random.Generator) -> None:
    x = (rng.standard_normal((1000, 2)) + 1e4).astype(np.float32)
    scaled = np.asarray(scaling.transform(scaling.fit_standard(x), x), np.float64)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, atol=1e-3)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=2e-3)


def test_one_number_per_channel_of_uint8_images(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
    state = scaling.fit_standard(images, per="channel")
    np.testing.assert_allclose(state.shift, images.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(state.scale, images.std(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(
        scaling.transform(state, images[0]), (images[0] - np.asarray(state.shift)) / np.asarray(state.scale), rtol=1e-5
    )


def test_e86_per_pixel_and_per_channel_means_are_two_things(rng: np.random.Generator) -> None:
    images = rng.uniform(size=(6, 4, 5, 3)).astype(np.float32)
    assert scaling.fit_mean(images).shift.shape == (4, 5, 3)
    np.testing.assert_allclose(scaling.fit_mean(images).shift, images.mean(axis=0), rtol=1e-6)
    assert scaling.fit_mean(images, per="channel").shift.shape == (3,)


def test_bfloat16_is_scaled_in_float32_and_stays_bfloat16() -> None:
    state = scaling.fit_standard(np.asarray([[1000.0], [1004.0]], np.float32))
    scaled = scaling.transform(state, jnp.asarray([[1000.0], [1004.0]], jnp.bfloat16))
    assert scaled.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.asarray(scaled, np.float32), [[-1.0], [1.0]])


def test_a_single_example_is_all_constant() -> None:
    state = scaling.fit_standard(jnp.asarray([[3.0, 4.0]]))
    np.testing.assert_array_equal(scaling.transform(state, jnp.asarray([3.0, 5.0])), [0.0, 1.0])


def test_what_cannot_be_fitted_or_applied_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least one example to fit to, got shape \(0, 3\)"):
        scaling.fit_mean(jnp.ones((0, 3)))
    with pytest.raises(ValueError, match=r"a last axis of channels to fit per channel, got shape \(4,\)"):
        scaling.fit_mean(jnp.ones(4), per="channel")
    with pytest.raises(ValueError, match=r"last axes of x must be \(3,\), those of the fit, got shape \(5, 2\)"):
        scaling.transform(scaling.fit_mean(jnp.ones((4, 3))), jnp.ones((5, 2)))
    with pytest.raises(ValueError, match=r"low must be smaller than high, got low=1\.0 and high=1\.0"):
        scaling.fit_min_max(jnp.ones((4, 3)), low=1.0, high=1.0)
