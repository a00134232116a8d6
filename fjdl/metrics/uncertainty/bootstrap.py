"""Confidence intervals of any statistic by resampling the examples (Efron 1979)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import ndtr, ndtri

from fjdl.checks import at_least, one_of, within
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Float, PRNGKey, Scalar, Shaped, typed

Statistic = Callable[..., Array]


@typed
def bootstrap_distribution(
    key: PRNGKey,
    statistic: Statistic,
    *arrays: Shaped[Array, "n ..."],
    resamples: int = 1000,
    batch_size: int = 64,
) -> Float[Array, " resamples"]:
    """The statistic of `resamples` samples of n examples, drawn with replacement from the n examples of the arrays.

    `statistic(*arrays)` is a single float under `jit` and `vmap`, for instance `roc_auc_score`. The same examples are
    drawn from every array. `batch_size` resamples are computed at once and do not change the result.
    """
    at_least(1, resamples=resamples)
    size = _length(arrays)

    def resample(key: PRNGKey) -> Scalar:
        index = jax.random.randint(key, (size,), 0, size)
        return widened(statistic(*[jnp.take(x, index, axis=0) for x in arrays]))

    return lax.map(resample, jax.random.split(key, resamples), batch_size=batch_size)


@typed
def bootstrap_interval(
    key: PRNGKey,
    statistic: Statistic,
    *arrays: Shaped[Array, "n ..."],
    resamples: int = 1000,
    confidence: float = 0.95,
    method: str = "bca",
    batch_size: int = 64,
) -> tuple[Scalar, Scalar]:
    """Lowest and highest value of the statistic compatible with the examples, by its `bootstrap_distribution`.

    "percentile" takes the quantiles at (1 ± confidence) / 2 of the resampled statistics, "basic" reflects these at the
    statistic itself, and "bca" corrects the levels for bias and skewness (Efron 1987), for which it computes the
    statistic n more times, with one example left out each. A statistic that is NaN for any resample gives NaN, and
    "bca" also where all or none of the resampled statistics are below the statistic.
    Equals `scipy.stats.bootstrap(paired=True, vectorized=False)` of the same resamples.
    """
    within("(0, 1)", confidence=confidence)
    one_of(("percentile", "basic", "bca"), method=method)
    found = bootstrap_distribution(key, statistic, *arrays, resamples=resamples, batch_size=batch_size)
    levels = jnp.array([(1 - confidence) / 2, (1 + confidence) / 2], found.dtype)
    if method == "percentile":
        low, high = jnp.quantile(found, levels)
        return low, high
    value = widened(statistic(*arrays))
    if method == "basic":
        low, high = 2 * value - jnp.flip(jnp.quantile(found, levels))
        return low, high
    skewness = _acceleration(_leaving_one_out(statistic, arrays, batch_size))
    low, high = jnp.quantile(found, _corrected(levels, found, value, skewness))
    return low, high


def _leaving_one_out(statistic: Statistic, arrays: tuple[Array, ...], batch_size: int) -> Float[Array, " n"]:
    size = _length(arrays)

    def without(index: Array) -> Scalar:
        others = jnp.arange(size - 1, dtype=jnp.int32)
        others = others + (others >= index).astype(jnp.int32)
        return widened(statistic(*[jnp.take(x, others, axis=0) for x in arrays]))

    return lax.map(without, jnp.arange(size, dtype=jnp.int32), batch_size=batch_size)


def _acceleration(values: Float[Array, " n"]) -> Scalar:
    """A sixth of the skewness of the statistic, from its values without each example; 0 where these are equal."""
    influence = jnp.mean(values) - values
    scale = jnp.max(jnp.abs(influence), initial=0)
    influence = safe_divide(influence, jnp.broadcast_to(scale, influence.shape))
    return safe_divide(jnp.sum(influence**3), 6 * jnp.sum(influence**2) ** 1.5)


def _corrected(levels: Float[Array, "2"], found: Float[Array, " b"], value: Scalar, skewness: Scalar) -> Array:
    """The levels whose quantiles have the wanted coverage; equal values count half as below."""
    below = (jnp.mean(found < value, dtype=found.dtype) + jnp.mean(found <= value, dtype=found.dtype)) / 2
    bias = ndtri(below)
    shifted = bias + ndtri(levels)
    return ndtr(bias + shifted / (1 - skewness * shifted))


def _length(arrays: tuple[Array, ...]) -> int:
    """The common number of examples; at least one."""
    if not arrays or not arrays[0].shape[0]:
        raise ValueError(f"arrays must hold at least one example, got shapes {[x.shape for x in arrays]}")
    return arrays[0].shape[0]
