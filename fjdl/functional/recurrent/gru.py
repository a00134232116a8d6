"""Gated recurrent units in three forms, which differ in the reset gate and in what the update gate multiplies.

In `gru` and `cho_gru` the update gate z multiplies the old state, `(1 - z) · candidate + z · state`; in `simple_gru` it
multiplies the candidate, `z · candidate + (1 - z) · state`. One is the other with -z for z before the sigmoid.
"""

import jax.numpy as jnp

from fjdl.functional.recurrent.sequence import affine, at_once, over_time, require_gates
from fjdl.fused import fused
from fjdl.lowering.gates import activated
from fjdl.lowering.recurrent import Carry, Cell, Weights
from fjdl.typing import Array, Float, Integer, typed

Products = tuple[Array, ...]


@typed
@fused
def gru_cell(
    x: Float[Array, "n d"],
    state: Float[Array, "n h"],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "h g"],
    bias: Float[Array, "g"] | None = None,
    recurrent_bias: Float[Array, "g"] | None = None,
) -> Float[Array, "n h"]:
    """The next state of a gated recurrent unit whose reset gate acts after the product, in the dtype of `state`.

    With three parts each, `x_r, x_z, x_n` of `x @ input_kernel + bias` and `h_r, h_z, h_n` of
    `state @ recurrent_kernel + recurrent_bias`,

        candidate = tanh(x_n + σ(x_r + h_r) · h_n)
        next state = (1 - z) · candidate + z · state,  z = σ(x_z + h_z)

    Computed in float32. The form of cuDNN; equals `torch.nn.GRUCell`. Raises `ValueError` unless there are three
    columns for each feature.
    """
    require_gates(3, kernel=recurrent_kernel, features=recurrent_kernel.shape[0])
    weights = Weights((recurrent_kernel,), (recurrent_bias,))
    return at_once(_AFTER, x, affine(input_kernel, bias), weights, (state,))[0]


@typed
def gru(
    x: Float[Array, "n t d"],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "h g"],
    bias: Float[Array, "g"] | None = None,
    recurrent_bias: Float[Array, "g"] | None = None,
    *,
    initial: Float[Array, "n h"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "n t h"], Float[Array, "n h"]]:
    """`gru_cell` over all steps: the states of all steps in the dtype of `x`, and the last state.

    `initial`, `lengths`, `reverse` and the dtype of the last state are as in `rnn`; states are float32 from step to
    step. Equals `torch.nn.GRU(batch_first=True)` on packed sequences. Raises `ValueError` unless there are three
    columns for each feature, and for a negative length.
    """
    require_gates(3, kernel=recurrent_kernel, features=recurrent_kernel.shape[0])
    weights = Weights((recurrent_kernel,), (recurrent_bias,))
    return _over_time(_AFTER, x, input_kernel, bias, weights, initial, lengths=lengths, reverse=reverse)


@typed
@fused
def cho_gru_cell(
    x: Float[Array, "n d"],
    state: Float[Array, "n h"],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "h g"],
    bias: Float[Array, "g"] | None = None,
) -> Float[Array, "n h"]:
    """The next state of a gated recurrent unit whose reset gate acts before the product, in the dtype of `state`.

    As `gru_cell`, with `candidate = tanh(x_n + (r · state) @ kernel_n)`, where `kernel_n` is the third part of the
    recurrent kernel: two products, one after the other. Cho et al. 2014, arXiv:1406.1078, equations 5 to 8. Equals
    Keras's `GRUCell(reset_after=False)` up to the order of its gates. Raises `ValueError` unless there are three
    columns for each feature.
    """
    require_gates(3, kernel=recurrent_kernel, features=recurrent_kernel.shape[0])
    return at_once(_BEFORE, x, affine(input_kernel, bias), _of_cho(recurrent_kernel), (state,))[0]


@typed
def cho_gru(
    x: Float[Array, "n t d"],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "h g"],
    bias: Float[Array, "g"] | None = None,
    *,
    initial: Float[Array, "n h"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "n t h"], Float[Array, "n h"]]:
    """`cho_gru_cell` over all steps: the states of all steps, and the last state. The rest is as in `gru`."""
    require_gates(3, kernel=recurrent_kernel, features=recurrent_kernel.shape[0])
    weights = _of_cho(recurrent_kernel)
    return _over_time(_BEFORE, x, input_kernel, bias, weights, initial, lengths=lengths, reverse=reverse)


@typed
@fused
def simple_gru_cell(
    x: Float[Array, "n d"],
    state: Float[Array, "n h"],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "h g"],
    bias: Float[Array, "g"] | None = None,
) -> Float[Array, "n h"]:
    """The next state of a unit with an update gate alone, in the dtype of `state`.

    With the two parts of `x @ input_kernel + state @ recurrent_kernel + bias` as the update gate z, before the sigmoid,
    and the candidate, before tanh, the next state is `σ(z) · tanh(candidate) + (1 - σ(z)) · state`: here the gate
    multiplies the candidate. Computed in float32. Raises `ValueError` unless there are two columns for each feature.
    """
    require_gates(2, kernel=recurrent_kernel, features=recurrent_kernel.shape[0])
    weights = Weights((recurrent_kernel,), (None,))
    return at_once(_SIMPLE, x, affine(input_kernel, bias), weights, (state,))[0]


@typed
def simple_gru(
    x: Float[Array, "n t d"],
    input_kernel: Float[Array, "d g"],
    recurrent_kernel: Float[Array, "h g"],
    bias: Float[Array, "g"] | None = None,
    *,
    initial: Float[Array, "n h"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "n t h"], Float[Array, "n h"]]:
    """`simple_gru_cell` over all steps: the states of all steps, and the last state. The rest is as in `gru`."""
    require_gates(2, kernel=recurrent_kernel, features=recurrent_kernel.shape[0])
    weights = Weights((recurrent_kernel,), (None,))
    return _over_time(_SIMPLE, x, input_kernel, bias, weights, initial, lengths=lengths, reverse=reverse)


def _over_time(
    cell: Cell,
    x: Array,
    input_kernel: Array,
    bias: Array | None,
    weights: Weights,
    initial: Array | None,
    *,
    lengths: Array | None,
    reverse: bool,
) -> tuple[Array, Array]:
    features = weights.kernels[0].shape[0]
    outputs, (last,) = over_time(
        cell, x, affine(input_kernel, bias), weights, (initial,), sizes=(features,), lengths=lengths, reverse=reverse
    )
    return outputs, last


def _of_cho(kernel: Array) -> Weights:
    """The kernels of both gates, and of the candidate."""
    return Weights(tuple(jnp.split(jnp.asarray(kernel), [2 * kernel.shape[0]], axis=-1)), (None, None))


def _state(x: Array | None, states: Carry, products: Products, other: tuple[()]) -> Array:
    del x, products, other
    return states[0]


def _after(x: Array, states: Carry, products: Products, other: tuple[()]) -> Carry:
    del other
    return (reset_after(x, products[0], states[0]),)


@typed
def reset_after(
    x: Float[Array, "*batch g"], recurrent: Float[Array, "*batch g"], state: Float[Array, "*batch h"]
) -> Float[Array, "*batch h"]:
    """The next state of `gru_cell` from its two sums for all gates, `g = 3 h`, and the state, all float32."""
    (x_rz, x_n), (h_rz, h_n) = (jnp.split(part, [2 * state.shape[-1]], axis=-1) for part in (x, recurrent))
    r, z = activated(x_rz + h_rz, (False, False))
    candidate = activated(x_n + r * h_n, (True,))[0]
    return candidate + z * (state - candidate)


def _reset(x: Array, states: Carry, products: Products, other: tuple[()]) -> Array:
    del other
    size = states[0].shape[-1]
    return activated(x[..., :size] + products[0][..., :size], (False,))[0] * states[0]


def _before(x: Array, states: Carry, products: Products, other: tuple[()]) -> Carry:
    del other
    size = states[0].shape[-1]
    candidate = activated(x[..., 2 * size :] + products[1], (True,))[0]
    update = activated(x[..., size : 2 * size] + products[0][..., size:], (False,))[0]
    return (candidate + update * (states[0] - candidate),)


def _simple(x: None, states: Carry, products: Products, other: tuple[()]) -> Carry:
    del x, other
    z, candidate = activated(products[0], (False, True))
    return (states[0] + z * (candidate - states[0]),)


_AFTER = Cell(factors=(_state,), update=_after, added=False)
_BEFORE = Cell(factors=(_state, _reset), update=_before, added=False)
_SIMPLE = Cell(factors=(_state,), update=_simple)
