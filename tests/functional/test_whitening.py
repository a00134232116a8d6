import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA

from fjdl.functional.whitening import fit_whitening, patch_whitening, unwhiten, whiten
from tests.support import float64


def correlated(rng: np.random.Generator, n: int = 200) -> np.ndarray:
    return rng.standard_normal((n, 3)) @ np.array([[2.0, 1.0, 0.0], [0.0, 0.3, 0.4], [0.0, 0.0, 1.5]]) + [
        5.0,
        -1.0,
        0.2,
    ]


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_whitened_features_are_uncorrelated_with_variance_1(kind: str, rng: np.random.Generator) -> None:
    with float64():
        x = correlated(rng)
        state = fit_whitening(x, kind=kind, epsilon=0.0)
        white = np.asarray(whiten(state, x))
        np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(3), atol=1e-10)
        np.testing.assert_allclose(unwhiten(state, white), x, rtol=1e-10)


def test_pca_whitening_equals_scikit_learn_up_to_signs(rng: np.random.Generator) -> None:
    with float64():
        x = correlated(rng)
        ours = np.asarray(whiten(fit_whitening(x, kind="pca", epsilon=0.0), x))
        theirs = PCA(whiten=True).fit_transform(x) * np.sqrt(len(x) / (len(x) - 1))
        np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-8, atol=1e-10)


def test_zca_is_the_symmetric_square_root_and_stays_near_the_data(rng: np.random.Generator) -> None:
    with float64():
        x = correlated(rng)
        state = fit_whitening(x, kind="zca", epsilon=0.0)
        np.testing.assert_allclose(state.matrix, state.matrix.T, atol=1e-12)
        np.testing.assert_allclose(state.matrix @ np.cov(x.T, bias=True) @ state.matrix, np.eye(3), atol=1e-10)


def test_a_constant_feature_stays_finite(rng: np.random.Generator) -> None:
    x = np.concatenate([rng.standard_normal((50, 2)), np.full((50, 1), 3.0)], axis=1).astype(np.float32)
    white = np.asarray(whiten(fit_whitening(x), x))
    np.testing.assert_allclose(white[:, 2], 0.0, atol=1e-3)
    np.testing.assert_allclose(white[:, :2].std(axis=0), 1.0, atol=1e-2)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"epsilon must not be negative, got -1\.0"):
        fit_whitening(jnp.ones((3, 2)), epsilon=-1.0)
    with pytest.raises(ValueError, match=r"at least one example to fit to, got shape \(0, 2\)"):
        fit_whitening(jnp.ones((0, 2)))


def test_filters_of_whitened_patches_have_uncorrelated_outputs_of_variance_1_and_both_signs(
    rng: np.random.Generator,
) -> None:
    with float64():
        images = correlated(rng, n=5 * 6 * 7).reshape(5, 6, 7, 3)
        images = images - images.mean(axis=(0, 1, 2))
        kernel = patch_whitening(jnp.asarray(images), window=2, epsilon=0.0)
        windows = np.lib.stride_tricks.sliding_window_view(images, (2, 2), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    assert kernel.shape == (2, 2, 3, 24)
    outputs = windows.reshape(-1, 12) @ np.asarray(kernel).reshape(12, 24)
    np.testing.assert_allclose(np.cov(outputs[:, :12].T, bias=True), np.eye(12), atol=1e-9)
    np.testing.assert_array_equal(kernel[..., 12:], -kernel[..., :12])


def test_a_window_of_patches_must_fit() -> None:
    with pytest.raises(ValueError, match=r"window must lie in \[1, 3\], the smaller side of the images, got 4"):
        patch_whitening(jnp.ones((1, 3, 5, 1)), window=4)
