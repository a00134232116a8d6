"""The plain recurrent network of Elman."""

from collections.abc import Callable
from functools import cache

import jax.numpy as jnp

from fjdl.functional.recurrent.sequence import affine, at_once, over_time, require_gates
from fjdl.lowering.recurrent import Carry, Cell, Weights
from fjdl.typing import Array, Float, Integer, typed

Activation = Callable[[Array], Array]


@typed
def rnn_cell(
    x: Float[Array, "n d"],
    state: Float[Array, "n h"],
    input_kernel: Float[Array, "d h"],
    recurrent_kernel: Float[Array, "h h"],
    bias: Float[Array, "h"] | None = None,
    *,
    activation: Activation = jnp.tanh,
) -> Float[Array, "n h"]:
    """`activation(x @ input_kernel + state @ recurrent_kernel + bias)`, the next state, in the dtype of `state`.

    Computed in float32. Elman 1990. Equals `torch.nn.RNNCell`, whose two biases are added here.

    >>> rnn_cell(jnp.ones((1, 1)), jnp.zeros((1, 1)), jnp.ones((1, 1)), jnp.ones((1, 1)), activation=jnp.negative)
    Array([[-1.]], dtype=float32)
    """
    weights = Weights((recurrent_kernel,), (None,))
    return at_once(_elman(activation), x, affine(input_kernel, bias), weights, (state,))[0]


@typed
def rnn(
    x: Float[Array, "n t d"],
    input_kernel: Float[Array, "d h"],
    recurrent_kernel: Float[Array, "h h"],
    bias: Float[Array, "h"] | None = None,
    *,
    activation: Activation = jnp.tanh,
    initial: Float[Array, "n h"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "n t h"], Float[Array, "n h"]]:
    """`rnn_cell` over all steps: the states of all steps in the dtype of `x`, and the last state.

    The first state is `initial`, or 0. Steps from `lengths` on are padding: they change nothing, their outputs are 0,
    and the last state is that of the last real step, the initial one for length 0. With `reverse`, steps go from the
    last real one to the first, and outputs lie where their inputs do. The last state has the dtype of `initial`, or of
    `x`. `activation` is applied to float32 and must not depend on values that are differentiated. Equals
    `torch.nn.RNN(batch_first=True)` on packed sequences. Raises `ValueError` for a negative length.
    """
    require_gates(1, kernel=recurrent_kernel, features=recurrent_kernel.shape[0])
    weights = Weights((recurrent_kernel,), (None,))
    outputs, (last,) = over_time(
        _elman(activation), x, affine(input_kernel, bias), weights, (initial,),
        sizes=(recurrent_kernel.shape[0],), lengths=lengths, reverse=reverse,
    )  # fmt: skip
    return outputs, last


@cache
def _elman(activation: Activation) -> Cell:
    def update(x: None, states: Carry, products: tuple[Array, ...], other: tuple[()]) -> Carry:
        del x, states, other
        return (activation(products[0]),)

    return Cell(factors=(lambda x, states, products, other: states[0],), update=update)
