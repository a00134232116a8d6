"""Initial values of parameters: each factory returns `init(key, shape, dtype=float32) -> array`.

The same protocol as `jax.nn.initializers`, so that either fits where the other does. Normal ones are plain, not
truncated, as in `torch.nn.init`. Draws are made in float32 (float64 for float64) and then rounded to `dtype`.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.numerics import wide
from fjdl.typing import Array, Float, PRNGKey, typed

__all__ = [
    "Initializer", "constant", "fans", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal",
    "lecun_uniform", "normal", "ones", "uniform", "zeros",
]  # fmt: skip

Initializer = Callable[..., Array]


@typed
def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs that one output sums over, and outputs that one input reaches, for a kernel of `shape`.

    The last two axes are the input and output channels, as in dense `[in, out]` and convolution `[h, w, in, out]`; the
    axes before them multiply both. Equals the fans of `torch.nn.init` on the transposed kernel. Raises `ValueError` for
    fewer than two axes.
    """
    if len(shape) < 2:
        raise ValueError(f"shape must have at least two axes to count inputs and outputs, got {shape}")
    *window, inputs, outputs = shape
    return math.prod(window) * inputs, math.prod(window) * outputs


@typed
def glorot_uniform() -> Initializer:
    """Uniform with variance `2 / (fan_in + fan_out)`, for tanh and sigmoid layers.

    Bounds ±√(6 / (fan_in + fan_out)): Glorot & Bengio 2010. Equals `torch.nn.init.xavier_uniform_`.
    """
    return _uniform_of_variance(lambda fan_in, fan_out: 2 / (fan_in + fan_out))


@typed
def glorot_normal() -> Initializer:
    """Normal with variance `2 / (fan_in + fan_out)`, for tanh and sigmoid layers.

    Glorot & Bengio 2010. Equals `torch.nn.init.xavier_normal_`.
    """
    return _normal_of_variance(lambda fan_in, fan_out: 2 / (fan_in + fan_out))


@typed
def he_uniform() -> Initializer:
    """Uniform with variance `2 / fan_in`, which keeps the mean square from one ReLU layer to the next.

    Bounds ±√(6 / fan_in): He et al. 2015, arXiv:1502.01852. Equals `torch.nn.init.kaiming_uniform_` with
    `nonlinearity="relu"`.
    """
    return _uniform_of_variance(lambda fan_in, _: 2 / fan_in)


@typed
def he_normal() -> Initializer:
    """Normal with variance `2 / fan_in`, which keeps the mean square from one ReLU layer to the next.

    He et al. 2015, arXiv:1502.01852. Equals `torch.nn.init.kaiming_normal_(nonlinearity="relu")`.
    """
    return _normal_of_variance(lambda fan_in, _: 2 / fan_in)


@typed
def lecun_uniform() -> Initializer:
    """Uniform with variance `1 / fan_in`, which keeps the variance from one linear layer to the next.

    Bounds ±√(3 / fan_in): LeCun et al. 1998, Efficient BackProp. Equals `torch.nn.init.kaiming_uniform_` with
    `nonlinearity="linear"`.
    """
    return _uniform_of_variance(lambda fan_in, _: 1 / fan_in)


@typed
def lecun_normal() -> Initializer:
    """Normal with variance `1 / fan_in`, which keeps the variance from one linear layer to the next.

    LeCun et al. 1998, Efficient BackProp. Equals `torch.nn.init.kaiming_normal_(nonlinearity="linear")`.
    """
    return _normal_of_variance(lambda fan_in, _: 1 / fan_in)


@typed
def normal(stddev: float) -> Initializer:
    """Normal with mean 0 and standard deviation `stddev`; raises `ValueError` for a negative one."""
    if not stddev >= 0:
        raise ValueError(f"stddev must not be negative, got {stddev}")

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        return (jax.random.normal(key, shape, wide(dtype)) * stddev).astype(dtype)

    return init


@typed
def uniform(low: float, high: float) -> Initializer:
    """Uniform between `low` and `high`; raises `ValueError` where `low` is above `high`."""
    if not low <= high:
        raise ValueError(f"low must not be above high, got low={low} and high={high}")

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        return jax.random.uniform(key, shape, wide(dtype), low, high).astype(dtype)

    return init


@typed
def constant(value: float) -> Initializer:
    """`value` everywhere, whatever the key."""

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        del key
        return jnp.full(shape, value, dtype)

    return init


@typed
def zeros() -> Initializer:
    """0 everywhere: for biases. Kernels of zeros would give every unit of a layer the same gradient for ever."""
    return constant(0.0)


@typed
def ones() -> Initializer:
    """1 everywhere: for the scales of normalization."""
    return constant(1.0)


def _normal_of_variance(variance: Callable[[int, int], float]) -> Initializer:
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
        return normal(math.sqrt(_of_fans(variance, shape)))(key, shape, dtype)

    return init


def _uniform_of_variance(variance: Callable[[int, int], float]) -> Initializer:
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
        bound = math.sqrt(3 * _of_fans(variance, shape))
        return uniform(-bound, bound)(key, shape, dtype)

    return init


def _of_fans(variance: Callable[[int, int], float], shape: tuple[int, ...]) -> float:
    """The variance for a kernel of `shape`; an empty kernel, which has none, counts as one of fan 1."""
    fan_in, fan_out = fans(shape)
    return variance(max(fan_in, 1), max(fan_out, 1))
