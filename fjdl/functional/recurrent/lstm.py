"""Long short-term memory: plain, with peepholes, with a projection of its output, and with layer normalization."""

from typing import Any

import jax
import jax.numpy as jnp

from fjdl.functional.layer_norm import layer_norm
from fjdl.functional.linear import linear
from fjdl.functional.recurrent.sequence import affine, at_once, over_time, require_gates, require_sizes
from fjdl.fused import fused
from fjdl.lowering.gates import activated
from fjdl.lowering.recurrent import Carry, Cell, Weights
from fjdl.typing import Array, Float, Integer, Number, typed


@typed
@fused
def lstm_cell(
    x: Float[Array, "n d"],
    state: tuple[Float[Array, "n p"], Float[Array, "n h"]],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "p g"],
    bias: Float[Array, "g"] | None = None,
    peepholes: Float[Array, "3 h"] | None = None,
    projection: Float[Array, "h p"] | None = None,
) -> tuple[Float[Array, "n p"], Float[Array, "n h"]]:
    """The next `(output, memory)` of a long short-term memory, each in the dtype that it was given in.

    With the gates i, f, g, o as the four parts of `x @ input_kernel + output @ recurrent_kernel + bias`, in this order,

        memory = σ(f) · memory + σ(i) · tanh(g)
        output = σ(o) · tanh(memory), times `projection` if there is one.

    Rows of `peepholes` are times the memory beside i and f, and times the new memory beside o (Gers & Schmidhuber
    2000). A projection makes the output `[n, p]` (Sak et al. 2014, arXiv:1402.1128). Computed in float32. Hochreiter &
    Schmidhuber 1997, with the forget gate of Gers et al. 2000. Equals `torch.nn.LSTMCell`, whose two biases are added
    here. Raises `ValueError` unless there are four columns for each feature of the memory, and for states or peepholes
    of other widths.
    """
    cell, weights, sizes = _lstm(recurrent_kernel, peepholes, projection)
    require_sizes(state, sizes)
    return _pair(at_once(cell, x, affine(input_kernel, bias), weights, state))


@typed
def lstm(
    x: Float[Array, "n t d"],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "p g"],
    bias: Float[Array, "g"] | None = None,
    peepholes: Float[Array, "3 h"] | None = None,
    projection: Float[Array, "h p"] | None = None,
    *,
    initial: tuple[Float[Array, "n p"], Float[Array, "n h"]] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "n t p"], tuple[Float[Array, "n p"], Float[Array, "n h"]]]:
    """`lstm_cell` over all steps: the outputs of all steps in the dtype of `x`, and the last `(output, memory)`.

    States begin as `initial`, or 0. `lengths`, `reverse` and the dtype of the last state are as in `rnn`; the memory is
    float32 from step to step. Equals `torch.nn.LSTM(batch_first=True)` on packed sequences, with `proj_size` too.
    Raises `ValueError` unless there are four columns for each feature of the memory, for states or peepholes of other
    widths, and for a negative length.
    """
    cell, weights, sizes = _lstm(recurrent_kernel, peepholes, projection)
    prepare = affine(input_kernel, bias)
    states = (None, None) if initial is None else initial
    outputs, last = over_time(cell, x, prepare, weights, states, sizes=sizes, lengths=lengths, reverse=reverse)
    return outputs, _pair(last)


@typed
@fused
def layer_norm_lstm_cell(
    x: Float[Array, "n d"],
    state: tuple[Float[Array, "n h"], Float[Array, "n h"]],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "h g"],
    bias: Float[Array, "g"],
    input_scale: Float[Array, "g"],
    recurrent_scale: Float[Array, "g"],
    memory_scale: Float[Array, "h"],
    memory_bias: Float[Array, "h"],
    *,
    epsilon: Number = 1e-5,
) -> tuple[Float[Array, "n h"], Float[Array, "n h"]]:
    """The next `(output, memory)` of `lstm_cell` with normalized sums, each in the dtype that it was given in.

    The gates are `norm(x @ input_kernel) · input_scale + norm(output @ recurrent_kernel) · recurrent_scale + bias`, and
    the output is `σ(o) · tanh(norm(memory) · memory_scale + memory_bias)`, where `norm` is that of `layer_norm` over
    all gates together. Ba, Kiros & Hinton 2016, arXiv:1607.06450, equations 20 to 22, whose two offsets of the gates
    are one bias here. Raises `ValueError` unless there are four columns for each feature.
    """
    require_gates(4, kernel=recurrent_kernel, features=recurrent_kernel.shape[0])
    weights = Weights((recurrent_kernel,), (None,), (recurrent_scale, memory_scale, memory_bias, _array(epsilon)))
    return _pair(at_once(_LAYER_NORM, x, _normed(input_kernel, input_scale, bias, epsilon), weights, state))


@typed
def layer_norm_lstm(
    x: Float[Array, "n t d"],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "h g"],
    bias: Float[Array, "g"],
    input_scale: Float[Array, "g"],
    recurrent_scale: Float[Array, "g"],
    memory_scale: Float[Array, "h"],
    memory_bias: Float[Array, "h"],
    *,
    epsilon: Number = 1e-5,
    initial: tuple[Float[Array, "n h"], Float[Array, "n h"]] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "n t h"], tuple[Float[Array, "n h"], Float[Array, "n h"]]]:
    """`layer_norm_lstm_cell` over all steps: the outputs of all steps, and the last `(output, memory)`.

    The rest is as in `lstm`.
    """
    features = recurrent_kernel.shape[0]
    require_gates(4, kernel=recurrent_kernel, features=features)
    weights = Weights((recurrent_kernel,), (None,), (recurrent_scale, memory_scale, memory_bias, _array(epsilon)))
    outputs, last = over_time(
        _LAYER_NORM, x, _normed(input_kernel, input_scale, bias, epsilon), weights,
        (None, None) if initial is None else initial,
        sizes=(features, features), lengths=lengths, reverse=reverse,
    )  # fmt: skip
    return outputs, _pair(last)


def _lstm(recurrent: Array, peepholes: Array | None, projection: Array | None) -> tuple[Cell, Weights, tuple[int, int]]:
    """Cell and weights, and the sizes of output and memory."""
    size = recurrent.shape[0]
    memory = size if projection is None else projection.shape[0]
    require_gates(4, kernel=recurrent, features=memory)
    if peepholes is not None and peepholes.shape[1] != memory:
        raise ValueError(f"peepholes must have shape (3, {memory}) for this recurrent_kernel, got {peepholes.shape}")
    if projection is None:
        return _PLAIN, Weights((recurrent,), (None,), peepholes), (size, size)
    return _PROJECTED, Weights((recurrent, projection), (None, None), peepholes), (size, memory)


def _output(x: Any, states: Carry, products: tuple[Array, ...], other: Any) -> Array:
    del x, products, other
    return states[0]


def _gated(x: None, states: Carry, products: tuple[Array, ...], peepholes: Array | None) -> Carry:
    del x
    memory = states[1]
    if peepholes is None:
        i, f, g, o = activated(products[0], _GATES)
        memory = f * memory + i * g
        return o * activated(memory, (True,))[0], memory
    i, f, g, o = jnp.split(products[0], 4, axis=-1)
    i, f = i + peepholes[:1] * memory, f + peepholes[1:2] * memory
    memory = jax.nn.sigmoid(f) * memory + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o + peepholes[2:] * memory) * jnp.tanh(memory), memory


def _gated_output(x: None, states: Carry, products: tuple[Array, ...], peepholes: Array | None) -> Array:
    return _gated(x, states, products, peepholes)[0]


def _projected(x: None, states: Carry, products: tuple[Array, ...], peepholes: Array | None) -> Carry:
    return products[1], _gated(x, states, products, peepholes)[1]


def _layer_normed(x: Array, states: Carry, products: tuple[Array, ...], other: Any) -> Carry:
    recurrent_scale, memory_scale, memory_bias, epsilon = other
    gates = x + layer_norm(products[0], recurrent_scale, epsilon=epsilon)
    i, f, g, o = activated(gates, _GATES)
    memory = f * states[1] + i * g
    return o * jnp.tanh(layer_norm(memory, memory_scale, memory_bias, epsilon=epsilon)), memory


_GATES = (False, False, True, False)
_PLAIN = Cell(factors=(_output,), update=_gated)
_PROJECTED = Cell(factors=(_output, _gated_output), update=_projected)
_LAYER_NORM = Cell(factors=(_output,), update=_layer_normed, added=False)


def _normed(kernel: Array, scale: Array, bias: Array, epsilon: Number) -> Any:
    return lambda x: layer_norm(linear(x, kernel), scale, bias, epsilon=epsilon)


def _array(epsilon: Number) -> Array:
    return jnp.asarray(epsilon, jnp.float32) if isinstance(epsilon, float) else jnp.asarray(epsilon)


def _pair(states: Carry) -> tuple[Array, Array]:
    output, memory = states
    return output, memory
