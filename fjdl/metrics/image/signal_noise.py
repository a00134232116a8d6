"""Peak signal-to-noise ratio of images."""

import math
from functools import partial

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.metrics.base import Metric, streaming, then
from fjdl.metrics.regression.scores import difference
from fjdl.metrics.regression.streaming import mse
from fjdl.typing import Array, Float, Num, typed


@typed
def peak_signal_noise_ratio(
    y_true: Num[Array, "*batch h w c"], y_pred: Num[Array, "*batch h w c"], *, data_range: float
) -> Float[Array, "*batch"]:
    """Peak signal-to-noise ratio in decibels, one per image: `20 log₁₀ data_range - 10 log₁₀ mean (y - ŷ)²`.

    `data_range` is the largest possible difference of two pixels: 255 for bytes, 1 for images in [0, 1]. Integers are
    subtracted as floats, so that bytes do not wrap. Equal images have inf, with zero gradient.
    Equals `skimage.metrics.peak_signal_noise_ratio`.

    >>> peak_signal_noise_ratio(jnp.zeros((2, 2, 1)), jnp.full((2, 2, 1), 0.1), data_range=1.0)
    Array(20., dtype=float32)
    """
    within("(0, inf)", data_range=data_range)
    square = jnp.mean(jnp.square(difference(y_true, y_pred)), axis=(-3, -2, -1))
    return _decibels(square, data_range)


@streaming("peak_signal_noise_ratio(y_true, y_pred, data_range=...)")
def psnr(data_range: float) -> Metric:
    """Peak signal-to-noise ratio in decibels of all pixels over all batches; NaN when nothing was seen.

    `update(state, predictions, targets, weights=None)`. The squared errors of all pixels are averaged before the
    logarithm is taken, once: for the mean of the values per image take `mean()` of `peak_signal_noise_ratio`.
    """
    within("(0, inf)", data_range=data_range)
    return then(mse(), partial(_decibels, data_range=data_range))


def _decibels(square: Float[Array, "*batch"], data_range: float) -> Float[Array, "*batch"]:
    zero = square == 0
    level = 20 * math.log10(data_range) - 10 * jnp.log10(jnp.where(zero, 1, square))
    return jnp.where(zero, jnp.inf, level)
