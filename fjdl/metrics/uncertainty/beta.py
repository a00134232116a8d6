"""Quantiles of the beta distribution, which exact intervals of a proportion are made of."""

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import within
from fjdl.meshes import fori_loop, while_loop
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, typed

LONGEST = 20_000  # terms of the continued fraction; some √(a + b) of them are needed near the mean


@typed
def beta_quantile(
    a: Float[Array, "*shape"], b: Float[Array, "*shape"], *, probability: float
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """The `x` in (0, 1) with `P(X ≤ x) = probability` for `X ~ Beta(a, b)`, and `1 - x`.

    Bisection of the log odds of x, so that neither x near 0 nor 1 - x near 0 loses digits: both have a relative error
    below 1e-5 in float32 for `a` and `b` from 1 to 2²⁴. They are positive; anything else gives NaN. No gradient.
    Equals `scipy.stats.beta.ppf(probability, a, b)`.
    """
    within("(0, 1)", probability=probability)
    odds = _log_odds(widened(a), widened(b), probability)
    return jax.nn.sigmoid(odds), jax.nn.sigmoid(-odds)


@jax.jit
def _log_odds(a: Float[Array, "*shape"], b: Float[Array, "*shape"], probability: float) -> Float[Array, "*shape"]:
    width, steps = (100.0, 40) if a.dtype == jnp.float32 else (700.0, 70)

    def halve(_: object, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = low + (high - low) / 2
        enough = _at_least(a, b, middle, probability)
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    low, high = fori_loop(0, steps, halve, (jnp.full_like(a, -width), jnp.full_like(a, width)))
    return jnp.where((a > 0) & (b > 0), low + (high - low) / 2, jnp.nan)


def _at_least(
    a: Float[Array, "*shape"], b: Float[Array, "*shape"], odds: Float[Array, "*shape"], probability: float
) -> Bool[Array, "*shape"]:
    """Whether `P(X ≤ x)` reaches the probability; the fraction is expanded on the side of the mean where it converges.

    The other side holds the complement, which is compared with `1 - probability`.
    """
    x, y = jax.nn.sigmoid(odds), jax.nn.sigmoid(-odds)
    left = x * (a + b + 2) < a + 1
    a, b, x, y = jnp.where(left, a, b), jnp.where(left, b, a), jnp.where(left, x, y), jnp.where(left, y, x)
    tail = jnp.exp(_log_factor(a, b, x, y)) * _continued_fraction(a, b, x, y)
    return jnp.where(left, tail >= probability, tail <= 1 - probability)


def _log_factor(
    a: Float[Array, "*shape"], b: Float[Array, "*shape"], x: Float[Array, "*shape"], y: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """`log(xᵃ yᵇ / B(a, b))` by deviances and Stirling remainders, none of which cancel (Loader 2000)."""
    total = a + b
    p, q = a / total, b / total
    shift = jnp.where(p < q, x - p, q - y)
    remainders = _stirling_remainder(total) - _stirling_remainder(a) - _stirling_remainder(b)
    scale = (jnp.log(a) + jnp.log(b / total) - jnp.log(2 * jnp.pi)) / 2
    return scale + remainders - a * _excess(shift / p, x / p) - b * _excess(-shift / q, y / q)


def _excess(u: Float[Array, "*shape"], ratio: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`u - log(ratio)` of the ratio `1 + u` without cancellation at 0 or -1."""
    r = u / (2 + u)
    square = jnp.square(r)
    series = jnp.polyval(jnp.array([1 / i for i in range(25, 1, -2)], u.dtype), square)
    near = r * (u - 2 * square * series)
    return jnp.where(jnp.abs(r) < 0.2, near, u - jnp.log(ratio))


def _stirling_remainder(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`log Γ(z) - ((z - ½) log z - z + ½ log 2π)`, which is close to 1/12z."""
    large = 5 if z.dtype == jnp.float32 else 15
    safe = jnp.maximum(z, large)
    square = jnp.square(safe)
    series = (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / safe
    exact = lax.lgamma(z) - ((z - 0.5) * jnp.log(z) - z + jnp.log(2 * jnp.pi) / 2)
    return jnp.where(z > large, series, exact)


def _continued_fraction(
    a: Float[Array, "*shape"], b: Float[Array, "*shape"], x: Float[Array, "*shape"], y: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """`P(X ≤ x) B(a, b) / xᵃ yᵇ` (Didonato and Morris 1992, eq. 9), by the method of Lentz until nothing changes."""
    smallest, close = jnp.finfo(a.dtype).tiny, 4 * jnp.finfo(a.dtype).eps

    def denominator(m: Array) -> Array:
        near = m / (a + 2 * m - 1) * (b - m) * x
        return m + jnp.where(m == 0, 0, near) + (a + m) / (a + 2 * m + 1) * (a * y - b * x + 1 + m * (1 + y))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        m, value, change, c, d = state
        numerator = (a + m - 1) / (a + 2 * m - 1) * (a + b + m - 1) * x * (m / (a + 2 * m - 1) * (b - m) * x)
        c, d = denominator(m) + numerator / c, denominator(m) + numerator * d
        c, d = jnp.where(c == 0, smallest, c), 1 / jnp.where(d == 0, smallest, d)
        change = jnp.where(jnp.abs(change - 1) > close, c * d, 1)
        return m + 1, value * change, change, c, d

    def unfinished(state: tuple[Array, ...]) -> Array:
        return (state[0] < LONGEST) & jnp.any(jnp.abs(state[2] - 1) > close)

    first = denominator(jnp.zeros((), a.dtype))
    start = jnp.ones((), a.dtype), first, jnp.full_like(a, 2), first, jnp.zeros_like(a)
    return 1 / while_loop(unfinished, step, start)[1]
