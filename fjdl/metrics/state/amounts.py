"""How much there is of something: exact counts of what boolean weights select, and sums of real weights beside them."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.metrics.state import counts, sums
from fjdl.metrics.state.counts import Count
from fjdl.metrics.state.sums import Sum
from fjdl.typing import Array, Bool, Float, Int, Integer, Num, typed


class Amount(NamedTuple):
    """The numbers `counted + weighed`, both of one shape."""

    counted: Count
    weighed: Sum


@typed
def zero(shape: tuple[int, ...] = ()) -> Amount:
    """An amount of 0 in every entry."""
    return Amount(counts.zero(shape), sums.zero(shape))


@typed
@fused
def of(
    numbers: Integer[Array, "n *rest"] | Bool[Array, "n *rest"], weights: Num[Array, " n"] | Bool[Array, " n"]
) -> Amount:
    """The weighted sum of the numbers over the first axis, `Σ wᵢ xᵢ`; exact where the weights are booleans."""
    column = jnp.asarray(weights).reshape(-1, *[1] * (numbers.ndim - 1))
    if weights.dtype == bool:
        return _counted(jnp.sum(jnp.where(column, numbers, jnp.zeros_like(numbers)), axis=0, dtype=jnp.uint32))
    return _weighed(sums.of(column.astype(_real()) * jnp.asarray(numbers).astype(_real())))


@typed
@fused
def sum_of(weights: Num[Array, "..."] | Bool[Array, "..."]) -> Amount:
    """The sum of all weights; exact where they are booleans."""
    if weights.dtype == bool:
        return _counted(jnp.sum(weights, dtype=jnp.uint32))
    return _weighed(sums.of(weights.ravel()))


@typed
@fused
def by_index(index: Int[Array, "*batch"], weights: Num[Array, "*batch"] | Bool[Array, "*batch"], length: int) -> Amount:
    """The weight of each index 0, 1, … `length - 1`; an index outside of these is left out."""
    if weights.dtype != bool:
        return _weighed(sums.by_index(weights.ravel(), index.ravel(), length))
    place = jnp.where(weights & (index >= 0), index, length)
    return _counted(jnp.zeros(length, jnp.uint32).at[place].add(1, mode="drop"))


@typed
def add(a: Amount, b: Amount) -> Amount:
    """The entrywise sum of both."""
    return Amount(counts.add(a.counted, b.counted), sums.add(a.weighed, b.weighed))


@typed
def to_float(amount: Amount) -> Float[Array, "..."]:
    """The amounts as float32, rounded only here; as float64 under x64."""
    return _to_float(amount)


@partial(jax.jit, inline=True)
def _to_float(amount: Amount) -> Float[Array, "..."]:
    return counts.to_float(amount.counted) + sums.to_float(amount.weighed)


def _counted(numbers: Integer[Array, "*shape"]) -> Amount:
    return Amount(counts.of(numbers), sums.zero(numbers.shape))


def _weighed(weight: Sum) -> Amount:
    return Amount(counts.zero(weight.total.shape), jax.tree.map(lambda x: x.astype(_real()), weight))


def _real() -> jnp.dtype:
    """The dtype of a state: float32, and float64 under x64."""
    return jnp.result_type(float)
