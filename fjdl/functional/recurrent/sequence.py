"""What all recurrent layers share: the input's product for all steps at once, lengths, and the dtype of states."""

from collections.abc import Callable

import jax.numpy as jnp

from fjdl.lengths import length_mask
from fjdl.lowering.bias import add_bias
from fjdl.lowering.gates import written
from fjdl.lowering.recurrent import Carry, Cell, Weights, one_step, recurrence
from fjdl.lowering.recurrent_products import rows
from fjdl.numerics import widened
from fjdl.typing import Array

Prepared = Callable[[Array], Array]


def over_time(
    cell: Cell,
    x: Array,
    prepare: Prepared,
    weights: Weights,
    states: tuple[Array | None, ...],
    *,
    sizes: tuple[int, ...],
    lengths: Array | None,
    reverse: bool,
) -> tuple[Array, Carry]:
    """Outputs `[n, t, h]` of all steps of `x`, `[n, t, d]`, in its dtype, and the states after the last real step.

    `prepare` makes the gates' inputs of all steps at once. A state that is None begins with zeros `[n, size]`, and each
    state comes back in the dtype that it was given in, or in that of `x`. Steps from `lengths` on are padding: whatever
    stands there, NaN too, changes neither a state nor a gradient, and their outputs are 0. With `reverse`, steps go
    from the last real one to the first, and outputs lie where their inputs do.
    """
    real = None if lengths is None else length_mask(lengths, steps=x.shape[1]).T
    inputs = written(jnp.swapaxes(jnp.asarray(x), 0, 1))
    if real is not None:
        inputs = jnp.where(real[..., None], inputs, 0)
    require_sizes(states, sizes)
    given = tuple(_state(state, x, size) for state, size in zip(states, sizes, strict=True))
    outputs, last = recurrence(prepare(inputs), given, weights, real, cell=cell, reverse=reverse)
    if real is not None:
        outputs = jnp.where(real[..., None], outputs, 0)
    return jnp.swapaxes(outputs, 0, 1), _as_given(last, given)


def at_once(cell: Cell, x: Array, prepare: Prepared, weights: Weights, states: Carry) -> Carry:
    """The states after one step with `x`, `[n, d]`, each in the dtype that it was given in."""
    return _as_given(one_step(prepare(jnp.asarray(x)), states, weights, cell=cell), states)


def affine(kernel: Array, bias: Array | None) -> Prepared:
    """The inputs of the gates: `linear` with this kernel and bias."""

    def prepare(x: Array) -> Array:
        wide = widened(x)
        total = rows(wide, jnp.asarray(kernel).astype(wide.dtype), dtype=x.dtype)
        return add_bias(total, bias).astype(x.dtype)

    return prepare


def require_gates(gates: int, *, kernel: Array, features: int) -> None:
    """Raises `ValueError` unless the recurrent kernel has a column for each gate of each feature."""
    if kernel.shape[-1] != gates * features:
        raise ValueError(
            f"recurrent_kernel must have {gates} columns for each of {features} features, got shape {kernel.shape}"
        )


def require_sizes(states: tuple[Array | None, ...], sizes: tuple[int, ...]) -> None:
    """Raises `ValueError` unless each state that is given has the features that the kernels ask for."""
    found = tuple(size if state is None else state.shape[-1] for state, size in zip(states, sizes, strict=True))
    if found != sizes:
        asked, given = (" and ".join(map(str, numbers)) for numbers in (sizes, found))
        raise ValueError(f"the states must have {asked} features by the kernels, got {given}")


def _state(state: Array | None, x: Array, size: int) -> Array:
    return jnp.zeros((x.shape[0], size), x.dtype) if state is None else jnp.asarray(state)


def _as_given(states: Carry, given: Carry) -> Carry:
    return tuple(state.astype(like.dtype) for state, like in zip(states, given, strict=True))
