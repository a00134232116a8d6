"""Shifts and scales that are fitted to training data and then applied to all data: `transform(fit(train), x)`."""

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.checks import known
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Num, Number, typed

Per = Literal["feature", "channel"]  # one number for each entry of an example, or one for each entry of its last axis


class Scaling(NamedTuple):
    """The fitted state of `(x - shift) / scale`: arrays alone, so it is saved and restored like parameters."""

    shift: Array
    scale: Array


@typed
def fit_mean(x: Num[Array, "n *features"], *, per: Per = "feature") -> Scaling:
    """Mean subtraction, `x - μ`, with one mean per entry of an example or per channel.

    Per pixel as in ResNet (He et al. 2016), per channel as in VGG (Simonyan & Zisserman 2015).

    >>> fit_mean(jnp.array([[1.0], [3.0]])).shift
    Array([2.], dtype=float32)
    """
    mean, _ = _mean_and_deviation(x, per)
    return Scaling(mean, jnp.ones_like(mean))


@typed
def fit_scale(x: Num[Array, "n *features"], *, per: Per = "feature") -> Scaling:
    """Scaling by the standard deviation, `x / σ`, without a shift; a constant feature is divided by 1.

    Equals scikit-learn's `StandardScaler(with_mean=False)`.
    """
    mean, std = _mean_and_deviation(x, per)
    return Scaling(jnp.zeros_like(mean), std)


@typed
def fit_standard(x: Num[Array, "n *features"], *, per: Per = "feature") -> Scaling:
    """The z-score, `(x - μ) / σ`, with the population σ; a constant feature is divided by 1.

    Per feature it equals scikit-learn's `StandardScaler`; per channel it is the usual normalization of images. Where
    the two numbers are known, `fjdl.functional.preprocessing.standardize` takes them.

    >>> fit_standard(jnp.array([[1.0], [5.0]]))
    Scaling(shift=Array([3.], dtype=float32), scale=Array([2.], dtype=float32))
    """
    return Scaling(*_mean_and_deviation(x, per))


@typed
def fit_min_max(
    x: Num[Array, "n *features"], *, low: Number = 0.0, high: Number = 1.0, per: Per = "feature"
) -> Scaling:
    """The affine map that takes the training data to [low, high]; a constant feature goes to `low`.

    Equals scikit-learn's `MinMaxScaler(feature_range=(low, high))`. Raises `ValueError` unless `low < high`.

    >>> transform(fit_min_max(jnp.array([[1.0], [5.0]])), jnp.array([2.0]))
    Array([0.25], dtype=float32)
    """
    if known(low) is not None and known(high) is not None and not low < high:
        raise ValueError(f"low must be smaller than high, got low={low} and high={high}")
    x, axes = widened(x), _axes(x, per)
    least, most = jnp.min(x, axis=axes), jnp.max(x, axis=axes)
    scale = jnp.where(most == least, 1.0, most - least) / (high - low)
    return Scaling(least - low * scale, scale)


@typed
def transform(state: Scaling, x: Num[Array, "*batch"]) -> Float[Array, "*batch"]:
    """`(x - shift) / scale` for examples or a batch of them, in the dtype of `x`, of the state for integers.

    Computed in float32, in float64 where the state is, and rounded once.

    >>> transform(Scaling(jnp.array([1.0]), jnp.array([2.0])), jnp.array([5.0]))
    Array([2.], dtype=float32)
    """
    shift, scale = (widened(_aligned(part, x)) for part in state)
    return ((x.astype(scale.dtype) - shift) / scale).astype(_float(x, state.scale))


@typed
def inverse_transform(state: Scaling, x: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """`x · scale + shift`, in the dtype of `x`: from transformed data back to the original units.

    Computed in float32, in float64 where the state is, and rounded once.

    >>> inverse_transform(Scaling(jnp.array([1.0]), jnp.array([2.0])), jnp.array([2.0]))
    Array([5.], dtype=float32)
    """
    shift, scale = (widened(_aligned(part, x)) for part in state)
    return (x.astype(scale.dtype) * scale + shift).astype(x.dtype)


def _mean_and_deviation(x: Array, per: Per) -> tuple[Array, Array]:
    """Mean and standard deviation by two passes; the deviation of a constant is 1."""
    x, axes = widened(x), _axes(x, per)
    mean = jnp.mean(x, axis=axes, keepdims=True)
    constant = jnp.min(x, axis=axes) == jnp.max(x, axis=axes)
    variance = jnp.mean(jnp.square(x - mean), axis=axes)
    return jnp.squeeze(mean, axes), jnp.sqrt(jnp.where(constant, 1.0, variance))


def _axes(x: Array, per: Per) -> tuple[int, ...]:
    """The axes that are averaged over; raises `ValueError` where there is no example to fit to."""
    if x.shape[0] == 0:
        raise ValueError(f"x must hold at least one example to fit to, got shape {x.shape}")
    if per == "channel" and x.ndim < 2:
        raise ValueError(f"x must have a last axis of channels to fit per channel, got shape {x.shape}")
    return (0,) if per == "feature" else tuple(range(x.ndim - 1))


def _float(x: Array, state: Array) -> DTypeLike:
    return x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else state.dtype


def _aligned(part: Array, x: Array) -> Array:
    """`part` with leading axes of length 1; raises `ValueError` where it does not fit the last axes of `x`."""
    if x.ndim < part.ndim or x.shape[x.ndim - part.ndim :] != part.shape:
        raise ValueError(f"the last axes of x must be {part.shape}, those of the fit, got shape {x.shape}")
    return part.reshape((1,) * (x.ndim - part.ndim) + part.shape)
