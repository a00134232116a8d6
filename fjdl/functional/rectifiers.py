"""Relatives of the rectified linear unit, each in the dtype of its input.

What is rounded is computed in float32. At a kink the gradient is that of PyTorch: of the piece on the left, unless the
function says otherwise.
"""

from functools import reduce

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.functional.activations import relu
from fjdl.functional.linear import linear
from fjdl.functional.pointwise import over_channels, pointwise
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Number, typed

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017


@typed
def leaky_relu(x: Float[Array, "*shape"], *, negative_slope: Number = 0.01) -> Float[Array, "*shape"]:
    """`x` where it is positive and `negative_slope · x` elsewhere, for every slope: above 1 and below 0 too.

    The gradient at 0 is `negative_slope`. Maas et al. 2013. Equals `torch.nn.functional.leaky_relu`, but with slope 0
    is 0 at -inf. A slope that is an array, traced or not, makes it `prelu`.

    >>> leaky_relu(jnp.array([-1.0, 0.0, 2.0]), negative_slope=0.5)
    Array([-0.5,  0. ,  2. ], dtype=float32)
    """
    if isinstance(negative_slope, jax.Array):
        return prelu(x, negative_slope)
    if negative_slope == 0:
        return relu(x)
    return jnp.where(x <= 0, (negative_slope * widened(x)).astype(x.dtype), x)


@typed
def prelu(x: Float[Array, "*shape"], slope: Float[Array, ""] | Float[Array, "c"]) -> Float[Array, "*shape"]:
    """Parametric `leaky_relu` with a learned slope: one for all of `x`, or one for each channel, the last axis.

    The gradient at 0 is the slope. That of a slope is the sum of the negative entries times their cotangents, summed
    in float32. With slope 0 it is 0 at -inf. He et al. 2015, arXiv:1502.01852. Equals `torch.nn.functional.prelu`
    after moving channels to the second axis. Raises `ValueError` for a slope of any other shape.

    >>> prelu(jnp.array([-1.0, 0.0, 2.0]), jnp.array(0.25))
    Array([-0.25,  0.  ,  2.  ], dtype=float32)
    """
    slope = over_channels(slope, x)
    below = jnp.where((x > 0) | ((slope == 0) & jnp.isinf(x)), 0, widened(x))
    return jnp.where(x <= 0, (slope * below).astype(x.dtype), x)


@typed
def elu(x: Float[Array, "*shape"], *, alpha: Number = 1.0) -> Float[Array, "*shape"]:
    """Exponential linear unit: `x` where it is positive and `alpha (eˣ - 1)` elsewhere, above `-alpha`.

    The gradient at 0 is `alpha`. Clevert et al. 2015, arXiv:1511.07289. Equals `torch.nn.functional.elu`. Raises
    `ValueError` for an `alpha` that is negative or not finite.

    >>> elu(jnp.array([-1.0, 0.0, 2.0]))
    Array([-0.6321...,  0.        ,  2.        ], dtype=float32)
    """
    within("[0, inf)", alpha=alpha)
    return _exponential(x, positive=1.0, negative=alpha, width=1.0)


@typed
def selu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Scaled `elu`, `λ x` where it is positive and `λ α (eˣ - 1)` elsewhere, which drives units to mean 0, variance 1.

    λ = 1.0507009873554805 and α = 1.6732632423543772, so that a standard normal input has an output of mean 0 and
    variance 1. The gradient at 0 is λα. Klambauer et al. 2017, arXiv:1706.02515. Equals `torch.nn.functional.selu`.

    >>> selu(jnp.array([-1.0, 0.0, 2.0]))
    Array([-1.1113...,  0.       ,  2.1014... ], dtype=float32)
    """
    return _exponential(x, positive=SELU_SCALE, negative=SELU_SCALE * SELU_ALPHA, width=1.0)


@typed
def celu(x: Float[Array, "*shape"], *, alpha: Number = 1.0) -> Float[Array, "*shape"]:
    """Continuously differentiable `elu`: `x` where it is positive and `alpha (e^(x/alpha) - 1)` elsewhere.

    Barron 2017, arXiv:1704.07483. Equals `torch.nn.functional.celu`. Raises `ValueError` for an `alpha` that is not
    positive and finite.

    >>> celu(jnp.array([-1.0, 0.0, 2.0]), alpha=2.0)
    Array([-0.7869...,  0.        ,  2.        ], dtype=float32)
    """
    within("(0, inf)", alpha=alpha)
    return _exponential(x, positive=1.0, negative=alpha, width=alpha)


@typed
def relu6(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`min(max(x, 0), 6)`, with gradient 0 at 0 and at 6; equals `torch.nn.functional.relu6`.

    >>> relu6(jnp.array([-1.0, 3.0, 8.0]))
    Array([0., 3., 6.], dtype=float32)
    """
    return _clip(x, 0, 6)


@typed
def hard_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`min(max(x, -1), 1)`, with gradient 0 at -1 and at 1; equals `torch.nn.functional.hardtanh`.

    >>> hard_tanh(jnp.array([-3.0, 0.5, 2.0]))
    Array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return _clip(x, -1, 1)


@typed
def hard_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Piecewise linear sigmoid, `min(max(x + 3, 0), 6) / 6`, with gradient 0 at -3 and at 3.

    Howard et al. 2019, arXiv:1905.02244. Equals `torch.nn.functional.hardsigmoid`.

    >>> hard_sigmoid(jnp.array([-3.0, 0.0, 3.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, 1, ((widened(x) + 3) / 6).astype(x.dtype)))


@typed
def hard_swish(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`x · hard_sigmoid(x)`: 0 up to -3, `x` from 3 on, with gradient 0 at -3 and 1 at 3.

    Howard et al. 2019, arXiv:1905.02244. Equals `torch.nn.functional.hardswish` on finite numbers, and is 0 at -inf.

    >>> hard_swish(jnp.array([-3.0, 1.5, 3.0]))
    Array([0.   , 1.125, 3.   ], dtype=float32)
    """
    inside = jnp.where(jnp.abs(x) >= 3, 0, widened(x))
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, x, (inside * (inside + 3) / 6).astype(x.dtype)))


@typed
def softshrink(x: Float[Array, "*shape"], *, threshold: Number = 0.5) -> Float[Array, "*shape"]:
    """`x` moved towards 0 by `threshold`, 0 where it is no larger than that, with gradient 0 at ±`threshold`.

    The proximal operator of `threshold · |x|`. Equals `torch.nn.functional.softshrink`. Raises `ValueError` for a
    negative threshold.

    >>> softshrink(jnp.array([-2.0, 0.25, 1.0]))
    Array([-1.5,  0. ,  0.5], dtype=float32)
    """
    return _beyond(x, threshold, less=threshold)


@typed
def hardshrink(x: Float[Array, "*shape"], *, threshold: Number = 0.5) -> Float[Array, "*shape"]:
    """`x` where its size exceeds `threshold` and 0 elsewhere, with gradient 0 at ±`threshold`.

    Equals `torch.nn.functional.hardshrink`. Raises `ValueError` for a negative threshold.

    >>> hardshrink(jnp.array([-2.0, 0.25, 1.0]))
    Array([-2.,  0.,  1.], dtype=float32)
    """
    return _beyond(x, threshold, less=0.0)


@typed
def maxout(
    x: Float[Array, "*batch d_in"],
    kernel: Float[Array, "d_in d_out k"],
    bias: Float[Array, "d_out k"] | None = None,
) -> Float[Array, "*batch d_out"]:
    """The largest of `k` affine maps for each output, `max_j (x @ kernel[:, :, j] + bias[:, j])`.

    Among equal maps the first takes the whole gradient; a NaN in any of them is the result. Goodfellow et al. 2013,
    arXiv:1302.4389. Equals `torch.nn.functional.linear` followed by `torch.max(dim=-1).values`. Raises `ValueError`
    for `k` of 0.
    """
    d_in, d_out, pieces = kernel.shape
    if pieces == 0:
        raise ValueError(f"kernel must hold at least one affine map, got shape {kernel.shape}")
    flat = jnp.asarray(kernel).swapaxes(1, 2).reshape(d_in, pieces * d_out)
    y = linear(x, flat, None if bias is None else jnp.asarray(bias).T.reshape(-1))
    return reduce(_first_maximum, jnp.split(y, pieces, axis=-1))


def _first_maximum(a: Array, b: Array) -> Array:
    return jnp.where((a >= b) | (a != a), a, b)


def _exponential(x: Array, *, positive: float, negative: Number, width: Number) -> Array:
    """`positive · x` where `x` is positive and `negative (e^(x / width) - 1)` elsewhere."""

    def value(x: Array, negative: Array, width: Array) -> Array:
        return jnp.where(x <= 0, negative * jnp.expm1(x / width), positive * x)

    def slope(x: Array, negative: Array, width: Array) -> Array:
        below = jnp.where(x <= 0, x, 0) / width
        return jnp.where(x <= 0, negative / width * jnp.exp(below), positive)

    def by_negative(x: Array, _: Array, width: Array) -> Array:
        return jnp.expm1(jnp.where(x <= 0, x, 0) / width)

    def by_width(x: Array, negative: Array, width: Array) -> Array:
        below = jnp.maximum(jnp.where(x <= 0, x, 0) / width, -800)
        return -negative / width * below * jnp.exp(below)

    return pointwise(x, negative, width, value=value, slope=slope, sensitivities=(by_negative, by_width))


def _clip(x: Array, low: float, high: float) -> Array:
    """`x` between `low` and `high`, with gradient 0 at both."""
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x))


def _beyond(x: Array, threshold: Number, *, less: Number) -> Array:
    """`x` moved towards 0 by `less` where its size exceeds the threshold, else 0."""
    within("[0, inf]", threshold=threshold)
    wider = widened(x)
    return jnp.where(jnp.abs(wider) <= threshold, 0, (wider - jnp.sign(wider) * less).astype(x.dtype))
