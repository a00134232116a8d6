"""Structural similarity of images (Wang, Bovik, Sheikh and Simoncelli 2004)."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl.checks import within
from fjdl.metrics.base import Metric, Weights, streaming
from fjdl.metrics.state.mean import MeanState, mean
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Num, typed


@typed
def structural_similarity(
    y_true: Num[Array, "*batch h w c"],
    y_pred: Num[Array, "*batch h w c"],
    *,
    data_range: float,
    window: int = 7,
    sigma: float | None = None,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Float[Array, "*batch"]:
    """Mean of `(2 μ ν + C₁)(2 σ_xy + C₂) / ((μ² + ν² + C₁)(σ_x² + σ_y² + C₂))` over the windows of an image, at most 1.

    One value per image, the mean of its channels; 1 for equal images. `C = (k · data_range)²`, and `data_range` is the
    largest possible difference of two pixels: 255 for bytes, 1 for images in [0, 1]. Windows are squares of `window`
    pixels, an odd number, that lie inside of the image; their variances divide by one less than the pixels. With
    `sigma` they are Gaussian and as wide as 3.5 of it on either side, 11 pixels for the 1.5 of the paper, whatever
    `window` is, and their variances are not corrected. Deviations are taken from the mean of the image, so that bright
    images keep digits. Equals `skimage.metrics.structural_similarity(channel_axis=-1)`, with `sigma` that with
    `gaussian_weights=True, use_sample_covariance=False`.
    """
    return _similarity(y_true, y_pred, _constants(data_range, k1, k2), _weights(window, sigma, y_true.shape))


@streaming("structural_similarity(y_true, y_pred, data_range=...)")
def ssim(data_range: float, *, window: int = 7, sigma: float | None = None) -> Metric:
    """Mean of `structural_similarity` over all images, `update(state, predictions, targets, weights=None)`.

    NaN when nothing was seen.
    """
    _constants(data_range, 0.01, 0.03)
    running, similarity = mean(), partial(structural_similarity, data_range=data_range, window=window, sigma=sigma)

    @typed
    def update(
        state: MeanState,
        predictions: Num[Array, "*batch h w c"],
        targets: Num[Array, "*batch h w c"],
        weights: Weights = None,
    ) -> MeanState:
        return running.update(state, similarity(targets, predictions), weights=weights)

    return running._replace(update=update)


def _constants(data_range: float, k1: float, k2: float) -> tuple[float, float]:
    within("(0, inf)", data_range=data_range)
    within("[0, inf)", k1=k1, k2=k2)
    return (k1 * data_range) ** 2, (k2 * data_range) ** 2


def _weights(window: int, sigma: float | None, shape: tuple[int, ...]) -> tuple[tuple[float, ...], float]:
    """Weights of the rows and columns of a window, which sum to 1, and the factor that corrects its variances."""
    if sigma is None:
        if window < 3 or window % 2 == 0:
            raise ValueError(f"window must be odd and at least 3, got {window}")
        weights, correction = (1 / window,) * window, window**2 / (window**2 - 1)
    else:
        within("(0, inf)", sigma=sigma)
        reach = math.floor(3.5 * sigma + 0.5)
        bell = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
        weights, correction = tuple((bell / bell.sum()).tolist()), 1.0
    if min(shape[-3:-1]) < len(weights):
        raise ValueError(f"images must have at least {len(weights)} rows and columns, got {shape[-3:-1]}")
    return weights, correction


@partial(jax.jit, inline=True, static_argnums=(2, 3))
def _similarity(
    y_true: Array, y_pred: Array, constants: tuple[float, float], window: tuple[tuple[float, ...], float]
) -> Float[Array, "*batch"]:
    weights, correction = window
    x, y = widened(y_true), widened(y_pred)
    x, y = (z.astype(jnp.result_type(x, y)) for z in (x, y))
    middle = jnp.mean(x, axis=(-3, -2), keepdims=True)
    x, y = x - middle, y - middle
    of_x, of_y, xx, yy, xy = (_averages(z, weights) for z in (x, y, x * x, y * y, x * y))
    spread = correction * (xx - of_x**2 + yy - of_y**2)
    together = 2 * correction * (xy - of_x * of_y)
    of_x, of_y = of_x + middle, of_y + middle
    c1, c2 = constants
    values = (2 * of_x * of_y + c1) * (together + c2) / ((of_x**2 + of_y**2 + c1) * (spread + c2))
    return jnp.mean(values, axis=(-3, -2, -1))


def _averages(x: Float[Array, "*batch h w c"], weights: tuple[float, ...]) -> Float[Array, "*batch rows columns c"]:
    """The weighted mean of every window inside of the image, one axis after the other."""
    for axis in (-3, -2):
        places = x.shape[axis] - len(weights) + 1
        axis = x.ndim + axis
        parts = [w * lax.slice_in_dim(x, start, start + places, axis=axis) for start, w in enumerate(weights)]
        x = sum(parts[1:], parts[0])
    return x
