"""The only reductions of per-example losses: sums and counts, which add up across batches and devices."""

import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Bool, Float, Num, Scalar, typed


@typed
@fused
def weighted_sum(
    values: Float[Array, "*shape"],
    *,
    mask: Bool[Array, "*shape"] | Num[Array, "*shape"] | None = None,
    weights: Float[Array, "*shape"] | None = None,
    counts: Float[Array, "*shape"] | None = None,
) -> tuple[Scalar, Scalar]:
    """Weighted sum of the selected values, and the sum of their weights (their number where there are no weights).

    An entry is selected where its mask is True or non-zero and its weight is non-zero. Everything else is left out:
    NaN or inf there reaches neither the sums nor a gradient. Weights are meant to be non-negative.
    `counts` is summed in the place of the weights, over the same entries, where values are to be divided by something
    else. Sums and counts of parts add up to those of the whole, where means of means do not.

    >>> weighted_sum(jnp.array([1.0, 2.0, 9.0]), mask=jnp.array([True, True, False]))
    (Array(3., dtype=float32), Array(2., dtype=float32))
    """
    values = widened(values)
    weights = jnp.ones_like(values) if weights is None else widened(weights)
    selected = weights != 0 if mask is None else (weights != 0) & (mask != 0)
    weights = jnp.where(selected, weights, 0)
    counts = weights if counts is None else jnp.where(selected, widened(counts), 0)
    return jnp.sum(weights * jnp.where(selected, values, 0)), jnp.sum(counts)


@typed
@fused
def mean(
    values: Float[Array, "*shape"],
    *,
    mask: Bool[Array, "*shape"] | Num[Array, "*shape"] | None = None,
    weights: Float[Array, "*shape"] | None = None,
    counts: Float[Array, "*shape"] | None = None,
) -> Scalar:
    """Weighted mean of the selected values, `Σ wv / Σ w`, or `Σ wv / Σ c`; 0 with zero gradient where the sum is 0.

    Selection and `counts` are those of `weighted_sum`. With `weights = example_weights(labels, class_weights)` it
    equals `torch.nn.functional.cross_entropy(weight=class_weights)`, which divides by the sum of the weights; with
    `counts` of ones besides, it divides by the number of examples. Values that a loss has weighted already, as it must
    where class weights meet label smoothing, take the weights as `counts` alone.

    >>> mean(jnp.array([1.0, 4.0]), weights=jnp.array([1.0, 2.0]))
    Array(3., dtype=float32)
    """
    return safe_divide(*weighted_sum(values, mask=mask, weights=weights, counts=counts))
