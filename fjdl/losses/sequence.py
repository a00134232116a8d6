"""Losses of sequences from the losses of their steps."""

import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.lengths import length_mask
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Float, Integer, typed


@typed
@fused
def sequence_loss(
    values: Float[Array, "*batch t"], lengths: Integer[Array, "*batch"], *, average: bool = False
) -> Float[Array, "*batch"]:
    """Sum of the losses of a sequence's steps, or their mean, one per sequence: `Σ_{s < length} valuesₛ`.

    `values` are the losses of single steps, as `softmax_cross_entropy` gives for one-hot targets and
    `sigmoid_cross_entropy` for independent ones. What stands at or after the length reaches neither value nor gradient,
    NaN included. A length of 0 or below costs 0 with zero gradient, one beyond t counts as t.
    The sum is the loss that backpropagation through time descends (Werbos 1990); the mean of it over the batch is
    `mean(values)`, whose weight of a step does not depend on the length of its sequence as that of `average` does.
    """
    values = widened(values)
    inside = length_mask(lengths, steps=values.shape[-1])
    total = jnp.sum(jnp.where(inside, values, 0), axis=-1)
    return safe_divide(total, jnp.sum(inside, axis=-1).astype(total.dtype)) if average else total
