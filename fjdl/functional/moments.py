"""Mean, variance and standardization in float32, exact too where the mean is much larger than the deviation."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Number, typed


class Centred(NamedTuple):
    """Deviations from the mean, the mean, and the biased variance.

    All but `deviation` have length 1 along the axes of the mean. The gradient of `deviation` treats the mean as a
    constant. The gradient through the mean is in `drift`, whose value is 0: a user of `deviation` subtracts `drift` as
    well, and does it last, on the small array that is left after sums, because that is cheaper.
    """

    deviation: Float[Array, "..."]
    drift: Float[Array, "..."]
    mean: Float[Array, "..."]
    variance: Float[Array, "..."]


@typed
def mean_over(x: Float[Array, "..."], *, axes: tuple[int, ...]) -> Float[Array, "..."]:
    """Mean `Σx / n` over `axes`, which are kept with length 1; 0 where there is nothing to sum."""
    count = math.prod(x.shape[axis] for axis in axes)
    return jnp.sum(x, axis=axes, keepdims=True) / max(count, 1)


@typed
def centre(x: Float[Array, "..."], *, mean: Callable[[Array], Array]) -> Centred:
    """Deviations from the mean, and the variance `E[d²] - E[d]²` of those from the rounded mean.

    What the rounded mean lacks of the mean is small against the deviations, so that the difference loses no digits,
    which `E[x²] - E[x]²` does (Chan, Golub & LeVeque 1983). The deviations of a constant c are exactly 0; its standard
    deviation is at most 2⁻³³ |c| in float32, which epsilon hides up to c = 1e7.
    """
    x = widened(x)
    shift = _rounded(jax.lax.stop_gradient(mean(x)))
    deviation = x - shift
    rest = mean(deviation)
    variance = jnp.maximum(mean(jnp.square(deviation)) - jnp.square(rest), 0)
    constant = jax.lax.stop_gradient(rest)
    return Centred(deviation - constant, rest - constant, shift + rest, variance)


def _rounded(x: Array) -> Array:
    """One bit less than its dtype has, so that every fusion that computes it again gets the same.

    Without it a compiler may join the product in the mean with the difference from it, unrounded, in one of them.
    """
    about = jnp.finfo(x.dtype)
    return jax.lax.reduce_precision(x, about.nexp, about.nmant - 1)


@typed
def inverse_deviation(variance: Float[Array, "*shape"], *, epsilon: Number) -> Float[Array, "*shape"]:
    """`1 / √(variance + epsilon)`; 0 with zero gradient where that root is 0, NaN where the variance overflowed.

    Raises `ValueError` unless epsilon is finite and not negative.
    """
    within("[0, inf)", epsilon=epsilon)
    total = widened(variance) + epsilon
    total = jnp.where(jnp.isinf(total), jnp.nan, total)
    return jnp.where(total == 0, 0, 1 / jnp.sqrt(jnp.where(total == 0, 1, total)))


@typed
def affine(
    x: Centred, scale: Float[Array, "..."] | None = None, bias: Float[Array, "..."] | None = None, *, epsilon: Number
) -> Float[Array, "..."]:
    """`(x - mean) / √(variance + epsilon) · scale + bias`, with the statistics folded into one product and one sum.

    `scale` and `bias` belong to the last axes. Folded, they leave only two sums over the data to the gradient.
    """
    slope = inverse_deviation(x.variance, epsilon=epsilon)
    slope = slope if scale is None else slope * trailing(scale, like=slope)
    offset = -(x.drift * slope)
    return x.deviation * slope + (offset if bias is None else offset + trailing(bias, like=slope))


@typed
def normalized_by(
    x: Float[Array, "*batch c"],
    mean: Float[Array, "c"],
    variance: Float[Array, "c"],
    scale: Float[Array, "c"] | None = None,
    bias: Float[Array, "c"] | None = None,
    *,
    epsilon: Number,
) -> Float[Array, "*batch c"]:
    """`(x - mean) / √(variance + epsilon) · scale + bias` of each channel, with given statistics, in float32."""
    wide = widened(x)
    slope = slope_of(variance, scale, epsilon=epsilon)
    y = (wide - trailing(mean, like=wide)) * trailing(slope, like=wide)
    return y if bias is None else y + trailing(bias, like=wide)


@typed
def slope_of(
    variance: Float[Array, "c"], scale: Float[Array, "c"] | None = None, *, epsilon: Number
) -> Float[Array, "c"]:
    """`scale / √(variance + epsilon)` of each channel, see `inverse_deviation`."""
    slope = inverse_deviation(variance, epsilon=epsilon)
    return slope if scale is None else slope * scale.astype(slope.dtype)


@typed
def trailing(parameter: Float[Array, "*shape"], *, like: Float[Array, "..."]) -> Float[Array, "..."]:
    """The parameter of the last axes of `like`, with its rank and in its dtype."""
    return parameter.reshape((1,) * (like.ndim - parameter.ndim) + parameter.shape).astype(like.dtype)
