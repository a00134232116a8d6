"""Confidence intervals of a proportion, of `successes` out of `count`."""

from statistics import NormalDist

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.metrics.uncertainty.beta import beta_quantile
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Float, Num, typed


@typed
@fused
def wilson_interval(
    successes: Num[Array, "*shape"], count: Num[Array, "*shape"], *, confidence: float = 0.95
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Lowest and highest success probability compatible with `successes` out of `count`, each in [0, 1].

    The score interval of Wilson (1927), `(s + z²/2 ± z √(s(n-s)/n + z²/4)) / (n + z²)`, its lower end in the
    form without cancellation: exactly 0 without successes, exactly 1 without failures. No examples give (0, 1).
    `successes` lie in [0, count]. Equals `scipy.stats.binomtest(s, n).proportion_ci(confidence, method="wilson")`.

    >>> wilson_interval(jnp.array(0), jnp.array(10))
    (Array(0., dtype=float32), Array(0.2775..., dtype=float32))
    """
    z = _normal_quantile(confidence)
    successes, count = widened(successes), widened(count)
    fraction = safe_divide(successes, count)
    most = successes + z**2 / 2 + z * jnp.sqrt(fraction * (count - successes) + z**2 / 4)
    high = jnp.where(successes == count, 1, jnp.minimum(most / (count + z**2), 1))
    return successes * fraction / most, high


@typed
@fused
def wald_interval(
    successes: Num[Array, "*shape"], count: Num[Array, "*shape"], *, confidence: float = 0.95
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Lowest and highest success probability by the normal approximation, `p ± z √(p (1 - p) / n)` with p = s / n.

    Cut off at 0 and 1; no examples give (0, 1). It covers too rarely for few successes or failures, and is a point
    where there are none of them: `wilson_interval` is better. `successes` lie in [0, count]. Source: Laplace 1812.

    >>> wald_interval(jnp.array(50), jnp.array(100))
    (Array(0.4020..., dtype=float32), Array(0.5979..., dtype=float32))
    """
    z = _normal_quantile(confidence)
    successes, count = widened(successes), widened(count)
    fraction = safe_divide(successes, count)
    return _around(fraction, z * jnp.sqrt(safe_divide(fraction * safe_divide(count - successes, count), count)), count)


@typed
@fused
def agresti_coull_interval(
    successes: Num[Array, "*shape"], count: Num[Array, "*shape"], *, confidence: float = 0.95
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Lowest and highest success probability by the normal approximation after adding z²/2 successes and failures.

    Cut off at 0 and 1; no examples give (0, 1). It contains `wilson_interval`, around the same centre. `successes` lie
    in [0, count]. Source: Agresti and Coull 1998.
    """
    z = _normal_quantile(confidence)
    successes, count = widened(successes), widened(count)
    total = count + z**2
    fraction, rest = (successes + z**2 / 2) / total, (count - successes + z**2 / 2) / total
    return _around(fraction, z * jnp.sqrt(fraction * rest / total), count)


@typed
def clopper_pearson_interval(
    successes: Num[Array, "*shape"], count: Num[Array, "*shape"], *, confidence: float = 0.95
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Lowest and highest success probability that an exact test of level (1 - confidence) / 2 on each side keeps.

    The quantiles of Beta(s, n - s + 1) and Beta(s + 1, n - s): exactly 0 without successes, exactly 1 without
    failures, and (0, 1) without examples. It covers at least as often as asked, usually more. `successes` lie in
    [0, count]. No gradient. Source: Clopper and Pearson 1934.
    Equals `scipy.stats.binomtest(s, n).proportion_ci(confidence, method="exact")`.
    """
    _normal_quantile(confidence)
    successes, count = widened(successes), widened(count)
    failures = count - successes
    tail = (1 - confidence) / 2
    low, _ = beta_quantile(jnp.where(successes == 0, 1, successes), failures + 1, probability=tail)
    _, high = beta_quantile(jnp.where(failures == 0, 1, failures), successes + 1, probability=tail)
    return jnp.where(successes == 0, 0, low), jnp.where(failures == 0, 1, high)


def _normal_quantile(confidence: float) -> float:
    """How many standard deviations to both sides hold a normal variable with that probability."""
    within("(0, 1)", confidence=confidence)
    return -NormalDist().inv_cdf((1 - confidence) / 2)


def _around(
    centre: Float[Array, "*shape"], reach: Float[Array, "*shape"], count: Float[Array, "*shape"]
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """The ends inside [0, 1], and all of that without examples."""
    low, high = jnp.clip(centre - reach, 0, 1), jnp.clip(centre + reach, 0, 1)
    return jnp.where(count == 0, 0, low), jnp.where(count == 0, 1, high)
