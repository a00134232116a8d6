"""Batches as pure functions of a key and the step: resuming needs no iterator state.

All functions run inside `jax.jit` with a traced `epoch` or `step`; `length` and `batch_size` are static.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.typing import Array, Float, Int, Integer, PRNGKey, Shaped, typed


def steps_per_epoch(length: int, batch_size: int) -> int:
    """`ceil(length / batch_size)`; raises `ValueError` where either is below 1.

    >>> steps_per_epoch(10, 4)
    3
    """
    at_least(1, length=length)
    at_least(1, batch_size=batch_size)
    return -(-length // batch_size)


@typed
def epoch_indices(
    key: PRNGKey, epoch: Integer[Array, ""] | int, *, length: int, batch_size: int
) -> tuple[Int[Array, "steps batch"], Float[Array, "steps batch"]]:
    """One row of int32 indices per step of the epoch and a float32 mask; each example appears once with mask 1.

    The order is a permutation drawn with `fold_in(key, epoch)`. The last row is filled up with the first examples of
    the order again, at mask 0, so that all rows have the same shape and statistics of a batch, which know of no mask,
    are those of examples; a `batch_size` above `length` gives one such row.
    """
    steps = steps_per_epoch(length, batch_size)
    order = jax.random.permutation(jax.random.fold_in(key, epoch), length)
    return _rows(order, steps, batch_size)


@typed
def batch_indices(
    key: PRNGKey, step: Integer[Array, ""] | int, *, length: int, batch_size: int
) -> tuple[Int[Array, " batch"], Float[Array, " batch"]]:
    """The row of `epoch_indices` that belongs to a global step counted from 0, bitwise the same.

    It draws the whole permutation of its epoch, so it costs a sort of `length` numbers per step.
    """
    steps = steps_per_epoch(length, batch_size)
    indices, mask = epoch_indices(key, step // steps, length=length, batch_size=batch_size)
    return indices[step % steps], mask[step % steps]


@typed
def sequential_indices(
    *, length: int, batch_size: int
) -> tuple[Int[Array, "steps batch"], Float[Array, "steps batch"]]:
    """Like `epoch_indices` with the examples in their own order, for evaluation.

    >>> sequential_indices(length=3, batch_size=2)[0]
    Array([[0, 1],
           [2, 0]], dtype=int32)
    """
    steps = steps_per_epoch(length, batch_size)
    return _rows(jnp.arange(length), steps, batch_size)


@typed
def take(arrays: Mapping[str, Shaped[Array, "length ..."]], indices: Int[Array, "*batch"]) -> dict[str, Array]:
    """The rows `indices` of every array, shape `[*batch, …]`.

    An index past the end cannot be refused under `jit`; it gives NaN in floating arrays and the lowest integer in
    signed ones, never another example's row.
    """
    return {name: jnp.take(array, indices, axis=0) for name, array in arrays.items()}


def _rows(order: Array, steps: int, batch_size: int) -> tuple[Array, Array]:
    length, padded = order.shape[0], steps * batch_size
    indices = jnp.resize(order.astype(jnp.int32), (padded,))
    mask = (jnp.arange(padded) < length).astype(jnp.float32)
    return indices.reshape(steps, batch_size), mask.reshape(steps, batch_size)
