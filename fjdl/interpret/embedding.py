"""Signatures, the features that a network gives an input, in few dimensions to look at."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fjdl.checks import within
from fjdl.numerics import full_product, widened
from fjdl.typing import Array, Float, typed


class PCA(NamedTuple):
    """The directions along which points vary the most."""

    mean: Float[Array, " d"]
    components: Float[Array, "k d"]  # orthonormal, of falling variance; the entry of largest size is positive
    variance: Float[Array, " k"]  # along each, of n - 1
    share: Float[Array, " k"]  # of the whole variance, NaN where that is 0


@typed
def fit_pca(x: Float[Array, "n d"], *, components: int = 2) -> PCA:
    """Principal components of n points, by the singular values of the centred ones, in float32.

    Pearson 1901. Equals `sklearn.decomposition.PCA` with its full solver. Raises `ValueError` for fewer than two points
    and unless `components` lies in [1, min(n, d)].
    """
    n, d = x.shape
    if n < 2:
        raise ValueError(f"x must hold at least two points, got shape {x.shape}")
    within(f"[1, {min(n, d)}]", components=components)
    points = widened(x)
    mean = jnp.mean(points, axis=0)
    _, singular, directions = jnp.linalg.svd(points - mean[None], full_matrices=False)
    largest = jnp.take_along_axis(directions, jnp.argmax(jnp.abs(directions), axis=1)[:, None], axis=1)
    directions = jnp.where(largest < 0, -directions, directions)
    variance = jnp.square(singular) / (n - 1)
    share = variance / jnp.sum(variance)
    return PCA(mean, directions[:components], variance[:components], share[:components])


@typed
def project(pca: PCA, x: Float[Array, "n d"]) -> Float[Array, "n k"]:
    """The points' coordinates along the components, from the mean of those that were fitted.

    >>> square = jnp.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
    >>> project(fit_pca(square, components=1), square)
    Array([[-1.],
           [ 1.],
           [-1.],
           [ 1.]], dtype=float32)
    """
    return full_product(widened(x) - widened(pca.mean)[None], widened(pca.components).T)


@typed
def tsne(x: Float[Array, "n d"], *, seed: int, dimensions: int = 2, perplexity: float = 30.0) -> np.ndarray:
    """scikit-learn's t-SNE of n points, float32 [n, dimensions], on the host; it begins at their PCA.

    Points near one another stay so; distances between groups mean nothing. van der Maaten & Hinton 2008. The `seed`
    decides what is drawn. Raises `ValueError` unless `perplexity` lies in (0, n).
    """
    from sklearn.manifold import TSNE

    within(f"(0, {x.shape[0]})", perplexity=perplexity)
    made = TSNE(dimensions, perplexity=perplexity, init="pca", random_state=seed)
    return np.asarray(made.fit_transform(np.asarray(x, np.float32)), np.float32)
