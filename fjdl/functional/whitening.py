"""Whitening: a fitted linear map after which features are uncorrelated and have variance 1."""

from typing import Literal, NamedTuple

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.numerics import full_product, widened
from fjdl.typing import Array, Float, Number, typed


class Whitening(NamedTuple):
    """The fitted state of `(x - mean) @ matrix`, and the matrix that takes it back."""

    mean: Array  # [d]
    matrix: Array  # [d, d]
    inverse: Array  # [d, d]


@typed
def fit_whitening(x: Float[Array, "n d"], *, kind: Literal["pca", "zca"] = "zca", epsilon: Number = 1e-5) -> Whitening:
    """The map `U diag(1/√(λ + epsilon))`, times `Uᵀ` for ZCA, of the population covariance `U diag(λ) Uᵀ`.

    PCA whitening goes to the principal axes, the largest variance first; ZCA turns back, so that whitened images still
    look like images (Bell & Sejnowski 1997; Krizhevsky 2009). `epsilon` keeps directions without variance from being
    blown up; scikit-learn's `PCA(whiten=True)` is this with `epsilon=0`, up to signs and a factor √((n - 1) / n).
    Raises `ValueError` for a negative epsilon and for fewer than one example.
    """
    within("[0, inf]", epsilon=epsilon)
    if x.shape[0] == 0:
        raise ValueError(f"x must hold at least one example to fit to, got shape {x.shape}")
    x = widened(x)
    mean = jnp.mean(x, axis=0)
    centred = x - mean[None]
    variances, axes = jnp.linalg.eigh(full_product(centred.T, centred) / x.shape[0])
    variances, axes = jnp.maximum(variances[::-1], 0.0), axes[:, ::-1]
    lengths = jnp.sqrt(variances + epsilon)[None]
    back = axes.T if kind == "zca" else jnp.eye(x.shape[1], dtype=x.dtype)
    return Whitening(mean, full_product(axes / lengths, back), full_product(back.T * lengths, axes.T))


@typed
def whiten(state: Whitening, x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """`(x - mean) @ matrix` for each example, in the dtype of `x`; computed as `transform` is."""
    mean, matrix = widened(state.mean), widened(state.matrix)
    return full_product(x.astype(mean.dtype) - _row(mean, x), matrix).astype(x.dtype)


@typed
def unwhiten(state: Whitening, x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
    """From whitened data to the original: `x @ inverse + mean`, in the dtype of `x`; computed as `transform` is."""
    mean, inverse = widened(state.mean), widened(state.inverse)
    return (full_product(x.astype(mean.dtype), inverse) + _row(mean, x)).astype(x.dtype)


@typed
def patch_whitening(
    images: Float[Array, "n h w c"], *, window: int, epsilon: Number = 5e-4
) -> Float[Array, "window window c filters"]:
    """The kernel of a convolution whose outputs are the whitened patches of `images`, and the same with other sign.

    Its `2 window² c` filters are the principal axes of all patches, without their mean, divided by √(variance +
    epsilon), and their negatives, so that a rectifier behind loses nothing. Padding "VALID" and stride 1 suit it. Page
    2018 (myrtle.ai/learn/how-to-train-your-resnet); Jordan 2024, arXiv:2404.00498. Raises `ValueError` for a window
    that is larger than the images, and as `fit_whitening` does.
    """
    n, h, w, c = images.shape
    if not 1 <= window <= min(h, w):
        raise ValueError(f"window must lie in [1, {min(h, w)}], the smaller side of the images, got {window}")
    rows, columns = h - window + 1, w - window + 1
    shifted = [images[:, i : i + rows, j : j + columns] for i in range(window) for j in range(window)]
    patches = jnp.stack(shifted, axis=3).reshape(n * rows * columns, window * window * c)
    axes = fit_whitening(patches, kind="pca", epsilon=epsilon).matrix
    return jnp.concatenate([axes, -axes], axis=1).reshape(window, window, c, -1)


def _row(mean: Array, x: Array) -> Array:
    return mean.reshape((1,) * (x.ndim - 1) + mean.shape)
