"""The only reductions of per-example losses: sums and counts, which add up across batches and devices."""

import jax.numpy as jnp

from fjdl.numerics import accumulate, safe_divide
from fjdl.typing import Array, Bool, Float, Num, Scalar, typed


@typed
def total(
    values: Float[Array, "*shape"],
    *,
    mask: Bool[Array, "*shape"] | Num[Array, "*shape"] | None = None,
    weights: Float[Array, "*shape"] | None = None,
) -> tuple[Scalar, Scalar]:
    """Weighted sum of the selected values, and the sum of their weights (their number where there are no weights).

    An entry is selected where its mask is True or non-zero and its weight is non-zero. Everything else is left out:
    NaN or inf there reaches neither the sums nor a gradient. Weights are meant to be non-negative.
    Sums and counts of parts add up to those of the whole, where means of means do not.
    """
    values = accumulate(values)
    weights = jnp.ones_like(values) if weights is None else accumulate(weights)
    selected = weights != 0 if mask is None else (weights != 0) & (mask != 0)
    weights = jnp.where(selected, weights, 0)
    return jnp.sum(weights * jnp.where(selected, values, 0)), jnp.sum(weights)


@typed
def mean(
    values: Float[Array, "*shape"],
    *,
    mask: Bool[Array, "*shape"] | Num[Array, "*shape"] | None = None,
    weights: Float[Array, "*shape"] | None = None,
) -> Scalar:
    """Weighted mean of the selected values, `Σ wv / Σ w`; 0 with zero gradient where nothing is selected.

    Selection is that of `total`. With `weights = class_weights[labels]` it equals
    `torch.nn.functional.cross_entropy(weight=class_weights)`, which divides by the sum of the weights, not by their
    number.
    """
    return safe_divide(*total(values, mask=mask, weights=weights))
