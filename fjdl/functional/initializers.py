"""Initial values of parameters: each factory returns `init(key, shape, dtype=float32) -> array`.

The same protocol as `jax.nn.initializers`, so that either fits where the other does. Normal ones are plain, not
truncated, as in `torch.nn.init`, unless their name says so. Draws are made in float32 (float64 for float64) and then
rounded to `dtype`.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.functional.fans import fans, gain
from fjdl.functional.structured_initializers import bilinear, dirac, identity, orthogonal
from fjdl.names import other_names
from fjdl.numerics import wide
from fjdl.typing import Array, Float, PRNGKey, typed

__all__ = [
    "Initializer", "bilinear", "constant", "dirac", "fans", "gain", "glorot_normal", "glorot_uniform", "he_normal",
    "he_uniform", "identity", "kaiming_normal", "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal", "ones",
    "orthogonal", "truncated_normal", "uniform", "variance_scaling", "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip

Initializer = Callable[..., Array]

_DEVIATION_WITHIN_2 = 0.8796256610342398  # of a standard normal that is cut at ±2


@typed
def variance_scaling(
    scale: float,
    *,
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in",
    distribution: Literal["normal", "truncated_normal", "uniform"] = "normal",
    groups: int = 1,
    transposed: bool = False,
) -> Initializer:
    """Mean 0 and variance `scale / fan`, the one formula that the initializers named after their authors share.

    The fan is what one output sums over ("fan_in", keeps the variance of outputs), what one input reaches ("fan_out",
    keeps that of gradients), or the mean of both; `groups` and `transposed` are those of `fans`. A normal that is
    "truncated_normal" at two deviations is widened by 1/0.88, so that the variance is that of the formula. An empty
    kernel counts as one of fan 1. Equals `jax.nn.initializers.variance_scaling` in distribution. Raises `ValueError`
    for a negative scale.
    """
    within("[0, inf]", scale=scale)

    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
        fan_in, fan_out = (max(fan, 1) for fan in fans(shape, groups=groups, transposed=transposed))
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        if distribution == "uniform":
            bound = math.sqrt(3 * (scale / fan))
            return _uniform(key, shape, dtype, -bound, bound)
        if distribution == "truncated_normal":
            return _truncated_normal(key, shape, dtype, math.sqrt(scale / fan) / _DEVIATION_WITHIN_2, -2.0, 2.0)
        return _normal(key, shape, dtype, math.sqrt(scale / fan))

    return init


@typed
def glorot_uniform() -> Initializer:
    """Uniform with variance `2 / (fan_in + fan_out)`, for tanh and sigmoid layers.

    Bounds ±√(6 / (fan_in + fan_out)): Glorot & Bengio 2010. Equals `torch.nn.init.xavier_uniform_`.
    """
    return variance_scaling(1.0, mode="fan_avg", distribution="uniform")


@typed
def glorot_normal() -> Initializer:
    """Normal with variance `2 / (fan_in + fan_out)`, for tanh and sigmoid layers.

    Glorot & Bengio 2010. Equals `torch.nn.init.xavier_normal_`.
    """
    return variance_scaling(1.0, mode="fan_avg")


@typed
def he_uniform() -> Initializer:
    """Uniform with variance `2 / fan_in`, which keeps the mean square from one ReLU layer to the next.

    Bounds ±√(6 / fan_in): He et al. 2015, arXiv:1502.01852. Equals `torch.nn.init.kaiming_uniform_` with
    `nonlinearity="relu"`.
    """
    return variance_scaling(2.0, distribution="uniform")


@typed
def he_normal() -> Initializer:
    """Normal with variance `2 / fan_in`, which keeps the mean square from one ReLU layer to the next.

    He et al. 2015, arXiv:1502.01852. Equals `torch.nn.init.kaiming_normal_(nonlinearity="relu")`.
    """
    return variance_scaling(2.0)


@typed
def lecun_uniform() -> Initializer:
    """Uniform with variance `1 / fan_in`, which keeps the variance from one linear layer to the next.

    Bounds ±√(3 / fan_in): LeCun et al. 1998, Efficient BackProp. Equals `torch.nn.init.kaiming_uniform_` with
    `nonlinearity="linear"`.
    """
    return variance_scaling(1.0, distribution="uniform")


@typed
def lecun_normal() -> Initializer:
    """Normal with variance `1 / fan_in`, which keeps the variance from one linear layer to the next.

    LeCun et al. 1998, Efficient BackProp. Equals `torch.nn.init.kaiming_normal_(nonlinearity="linear")`.
    """
    return variance_scaling(1.0)


@typed
def normal(stddev: float) -> Initializer:
    """Normal with mean 0 and standard deviation `stddev`; raises `ValueError` for a negative one."""
    within("[0, inf]", stddev=stddev)

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        return _normal(key, shape, dtype, stddev)

    return init


@typed
def truncated_normal(stddev: float, *, low: float = -2.0, high: float = 2.0) -> Initializer:
    """Normal of mean 0 and deviation `stddev` without what lies outside of `low · stddev` to `high · stddev`.

    The deviation of what remains is smaller: 0.88 `stddev` between -2 and 2. Equals
    `torch.nn.init.trunc_normal_(std=stddev, a=low * stddev, b=high * stddev)` and
    `jax.nn.initializers.truncated_normal` in distribution. Raises `ValueError` for a negative deviation and unless
    `low` is below `high`.
    """
    within("[0, inf]", stddev=stddev)
    if not low < high:
        raise ValueError(f"low must be below high, got low={low} and high={high}")

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        return _truncated_normal(key, shape, dtype, stddev, low, high)

    return init


@typed
def uniform(low: float, high: float) -> Initializer:
    """Uniform between `low` and `high`; raises `ValueError` where `low` is above `high`."""
    if not low <= high:
        raise ValueError(f"low must not be above high, got low={low} and high={high}")

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        return _uniform(key, shape, dtype, low, high)

    return init


@typed
def constant(value: float) -> Initializer:
    """`value` everywhere, whatever the key.

    >>> constant(0.5)(jax.random.key(0), (2,))
    Array([0.5, 0.5], dtype=float32)
    """

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        del key
        return jnp.full(shape, value, dtype)

    return init


@typed
def zeros() -> Initializer:
    """0 everywhere: for biases. Kernels of zeros would give every unit of a layer the same gradient for ever.

    >>> zeros()(jax.random.key(0), (2,))
    Array([0., 0.], dtype=float32)
    """
    return constant(0.0)


@typed
def ones() -> Initializer:
    """1 everywhere: for the scales of normalization."""
    return constant(1.0)


def _normal(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike, stddev: float) -> Array:
    return (jax.random.normal(key, shape, wide(dtype)) * stddev).astype(dtype)


def _truncated_normal(
    key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike, stddev: float, low: float, high: float
) -> Array:
    return (jax.random.truncated_normal(key, low, high, shape, wide(dtype)) * stddev).astype(dtype)


def _uniform(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike, low: float, high: float) -> Array:
    return jax.random.uniform(key, shape, wide(dtype), low, high).astype(dtype)


# second names, see `fjdl.names`
kaiming_normal = he_normal
kaiming_uniform = he_uniform
xavier_normal = glorot_normal
xavier_uniform = glorot_uniform


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
