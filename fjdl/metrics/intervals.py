"""Confidence intervals of metrics."""

from statistics import NormalDist

import jax.numpy as jnp

from fjdl.numerics import accumulate, safe_divide
from fjdl.typing import Array, Float, Num, typed


@typed
def wilson_interval(
    successes: Num[Array, "*shape"], count: Num[Array, "*shape"], *, confidence: float = 0.95
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Lowest and highest success probability compatible with `successes` out of `count`, each in [0, 1].

    The score interval of Wilson (1927), `(s + z²/2 ± z √(s(n-s)/n + z²/4)) / (n + z²)`, its lower end in the
    form without cancellation and its upper end as one minus the lower end of the failures. No examples give (0, 1).
    `successes` lie in [0, count]. Equals `scipy.stats.binomtest(s, n).proportion_ci(confidence, method="wilson")`.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence}")
    z = -NormalDist().inv_cdf((1 - confidence) / 2)
    successes, count = accumulate(successes), accumulate(count)
    return _lower_end(successes, count, z), 1 - _lower_end(count - successes, count, z)


def _lower_end(successes: Float[Array, "*shape"], count: Float[Array, "*shape"], z: float) -> Float[Array, "*shape"]:
    fraction = safe_divide(successes, count)
    spread = z * jnp.sqrt(fraction * (count - successes) + z**2 / 4)
    return successes * fraction / (successes + z**2 / 2 + spread)
