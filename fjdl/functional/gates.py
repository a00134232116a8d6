"""Activations that multiply by a gate between 0 and 1, each in the dtype of its input and computed in float32.

They are smooth. At `x` = -inf the gate is 0, and value and gradient are 0; at inf the gate is 1, and the gradient is 1.
PyTorch gives NaN at both.
"""

import math
from functools import reduce

import jax
import jax.numpy as jnp

from fjdl.functional.pointwise import absent, over_channels, pointwise
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed

_TAIL_STEP = 0.32
_TAIL = (
    0.12766153, 0.12766095, 0.11462236, 0.08782907, 0.05865412, -0.00937804, 0.06532885, -0.14670829, 0.09540771,
    -0.02107827,
)  # fmt: skip
"""With q = 1 / (1 + 0.32 a), q Σ TAIL[k] qᵏ is e^(a²/2) Φ(-a) for every a ≥ 0 but for a factor of 1 ± 3.2e-8."""


@typed
def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Gaussian error linear unit, `x Φ(x) = x/2 (1 + erf(x / √2))`, the exact one.

    Its derivative is `Φ(x) + x φ(x)`. At very negative `x` it keeps its relative precision, where the form with erf
    cancels. Hendrycks & Gimpel 2016, arXiv:1606.08415. Equals `torch.nn.functional.gelu`.

    >>> gelu(jnp.array([-1.0, 0.0, 1.0]))
    Array([-0.1586...,  0.        ,  0.8413... ], dtype=float32)
    """

    def slope(x: Array) -> Array:
        z = jnp.clip(x, -40, 40)
        return _normal_cdf(z) + z * _normal_density(z)

    return pointwise(x, value=lambda x: _finite(x) * _normal_cdf(x), slope=slope)


@typed
def gelu_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Approximation of `gelu`, `x/2 (1 + tanh u)` with `u = √(2/π) (x + 0.044715 x³)`, at most 5e-4 away from it.

    It is what GPT-2 and BERT were trained with. Computed as `x σ(2u)`. Hendrycks & Gimpel 2016, arXiv:1606.08415.
    Equals `torch.nn.functional.gelu(approximate="tanh")`.

    >>> gelu_tanh(jnp.array([-1.0, 0.0, 1.0]))
    Array([-0.1588...,  0.      ,  0.8411...], dtype=float32)
    """
    scale, cubic = 2 * math.sqrt(2 / math.pi), 0.044715

    def slope(x: Array) -> Array:
        z = jnp.clip(x, -25, 25)
        gate, change = _logistic(scale * z * (1 + cubic * z * z))
        return gate + z * change * scale * (1 + 3 * cubic * z * z)

    def value(x: Array) -> Array:
        return _finite(x) * jax.lax.logistic(scale * x * (1 + cubic * x * x))

    return pointwise(x, value=value, slope=slope)


@typed
def silu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Sigmoid-weighted linear unit, `x σ(x)`, which is `swish` with β = 1.

    Its derivative is `σ(x) + x σ(x) σ(-x)`. Elfwing et al. 2018, arXiv:1702.03118. Equals `torch.nn.functional.silu`.

    >>> silu(jnp.array([-1.0, 0.0, 1.0]))
    Array([-0.2689...,  0.        ,  0.7310... ], dtype=float32)
    """

    def slope(x: Array) -> Array:
        z = jnp.clip(x, -800, 800)
        gate, change = _logistic(z)
        return gate + z * change

    return pointwise(x, value=lambda x: _finite(x) * jax.lax.logistic(x), slope=slope)


@typed
def swish(
    x: Float[Array, "*shape"], beta: float | Float[Array, ""] | Float[Array, "c"] = 1.0
) -> Float[Array, "*shape"]:
    """`x σ(βx)` with a β that may be learned: one for all of `x`, 1 by default, or one for each channel, the last axis.

    It is `x / 2` for β = 0 and nears `relu` as β grows. Its derivatives are `σ(βx) + βx σ(βx) σ(-βx)` and
    `x² σ(βx) σ(-βx)`; that with respect to β is summed in float32. Ramachandran et al. 2017, arXiv:1710.05941. With
    β = 1 it equals `torch.nn.functional.silu`. Raises `ValueError` for a β of any other shape.

    >>> swish(jnp.array([-1.0, 0.0, 1.0]), 2.0)
    Array([-0.1192...,  0.        ,  0.8807...  ], dtype=float32)
    """
    return _swish(widened(x), over_channels(beta, x)).astype(x.dtype)


@typed
def mish(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`x tanh(softplus(x)) = x tanh(log(1 + eˣ))`, at least -0.31.

    Computed as `x n / (n + 2)` with `n = eˣ (eˣ + 2)`. Misra 2019, arXiv:1908.08681. Equals `torch.nn.functional.mish`.

    >>> mish(jnp.array([-1.0, 0.0, 1.0]))
    Array([-0.3034...,  0.        ,  0.8650...], dtype=float32)
    """

    def value(x: Array) -> Array:
        e = jnp.exp(jnp.minimum(x, 25))  # from 25 on, the gate is 1 even in float64
        n = e * (e + 2)
        return _finite(x) * (n / (n + 2))

    def slope(x: Array) -> Array:
        z = jnp.clip(x, -800, 25)
        e = jnp.exp(z)
        share = 1 / (e * (e + 2) + 2)
        return e * share * (e + 2 + 4 * z * share * (e + 1))

    return pointwise(x, value=value, slope=slope)


@typed
def glu(x: Float[Array, "..."], *, axis: int = -1) -> Float[Array, "..."]:
    """Gated linear unit, `a σ(b)` for the two halves `a` and `b` of `x` along `axis`, which is halved.

    Dauphin et al. 2017, arXiv:1612.08083. Equals `torch.nn.functional.glu`. Raises `ValueError` for an odd
    axis.

    >>> glu(jnp.array([1.0, 2.0, 0.0, 0.0]))
    Array([0.5, 1. ], dtype=float32)
    """
    if not -x.ndim <= axis < x.ndim or x.shape[axis] % 2:
        raise ValueError(f"x must have an axis {axis} of even length, got shape {x.shape}")
    a, b = jnp.split(widened(x), 2, axis=axis)
    return (a * jax.lax.logistic(b)).astype(x.dtype)


def _finite(x: Array) -> Array:
    """`x` with the lowest number for -inf, which a gate of 0 keeps out."""
    return jnp.maximum(x, jnp.finfo(x.dtype).min)


def _logistic(t: Array) -> tuple[Array, Array]:
    """`σ(t)` and its derivative `σ(t) σ(-t)`, both to full relative precision in both tails."""
    small = jnp.exp(jnp.where(t > 0, -t, t))
    share = 1 / (1 + small)
    return jnp.where(t > 0, share, small * share), small * share * share


def _normal_density(x: Array) -> Array:
    return math.sqrt(0.5 / math.pi) * jnp.exp(-0.5 * x * x)


@jax.custom_jvp
def _normal_cdf(x: Array) -> Array:
    """Φ, to full relative precision in the lower tail; one exponential in float32."""
    if x.dtype == jnp.float64:
        return 0.5 * jax.lax.erfc(-math.sqrt(0.5) * x)
    a = jnp.abs(x)
    q = 1 / (1 + _TAIL_STEP * a)
    tail = q * reduce(lambda total, coefficient: total * q + coefficient, reversed(_TAIL)) * jnp.exp(-0.5 * a * a)
    return jnp.where(x > 0, 1 - tail, tail)


@_normal_cdf.defjvp
def _normal_cdf_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _normal_cdf(*primals), _normal_density(*primals) * tangents[0]


@jax.custom_jvp
def _swish(x: Array, beta: Array) -> Array:
    gate = jax.lax.logistic(_scaled(x, beta))
    return gate * jnp.where(gate == 0, 0, x)


def _swish_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """The derivative in `x` and, where it is asked for, that in `beta`."""
    (x, beta), (dx, dbeta) = primals, tangents
    t = jnp.clip(_scaled(x, beta), -800, 800)
    gate, change = _logistic(t)
    tangent = jnp.zeros_like(x) if absent(dx) else (gate + t * change) * dx
    if not absent(dbeta):
        tangent += jnp.square(jnp.where(change == 0, 0, x)) * change * dbeta
    return _swish(x, beta), tangent


_swish.defjvp(_swish_jvp, symbolic_zeros=True)


def _scaled(x: Array, beta: Array) -> Array:
    """`beta · x` with 0 · inf = 0."""
    return beta * jnp.where((beta == 0) & jnp.isinf(x), 0, x)
