"""Rows of fjdl.functional.recurrent: cells, and layers over all steps."""

from functools import partial
from typing import Any

import jax

from fjdl.functional.recurrent import elman, gru, lstm
from tests.cases.case import Case, Inputs, f32, i32, inputs, normal, of_torch, uniform

N, T, D, H, P = 2, 3, 3, 4, 2


def sequences(gates: int, *more: tuple[int, ...], rows: int = H) -> Inputs:
    """A batch of sequences, both kernels and the bias of so many gates, and more weights."""
    columns = gates * H
    small = [uniform(*shape, low=-0.7, high=0.7) for shape in ((D, columns), (rows, columns), (columns,), *more)]
    return inputs(normal(N, T, D), *small)


def steps(gates: int, *more: tuple[int, ...], states: tuple[int, ...] = (H,)) -> Inputs:
    """Inputs of one step, states of these sizes, and the weights of `sequences`."""
    whole = sequences(gates, *more, rows=next(iter(states)))

    def draw(rng: Any) -> tuple[Any, ...]:
        x, *weights = whole(rng)
        given = tuple(normal(N, size)(rng) for size in states)
        return (x[:, 0], given if len(given) > 1 else next(iter(given)), *weights)

    return draw


def torch_layer(kind: str, x: Any, *weights: Any, **options: Any) -> Any:
    from tests.cases.oracles import recurrent as oracles

    return oracles.module(kind, x, *weights, **options)


def torch_gru(x: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any, second: Any) -> Any:
    return torch_layer("GRU", x, input_kernel, recurrent_kernel, bias, recurrent_bias=second)


def torch_loop(step: str, x: Any, input_kernel: Any, recurrent_kernel: Any, *weights: Any, memory: bool = False) -> Any:
    from tests.cases.oracles import recurrent as oracles

    zeros = oracles.zeros(x, H)
    state = (oracles.zeros(x, recurrent_kernel.shape[0]), zeros) if memory else zeros
    return oracles.loop(getattr(oracles, step), x, input_kernel, recurrent_kernel, *weights, state=state)


def torch_step(step: str) -> Any:
    def call(x: Any, state: Any, *weights: Any) -> Any:
        from tests.cases.oracles import recurrent as oracles

        return getattr(oracles, step)(x, state, *weights)

    return call


def torch_cell(kind: str, x: Any, state: Any, *weights: Any, **options: Any) -> Any:
    """One step of a layer of `torch.nn`."""
    return torch_layer(kind, x[:, None], *weights, initial=state, **options)[1]


def torch_gru_cell(x: Any, state: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any, second: Any) -> Any:
    return torch_cell("GRU", x, state, input_kernel, recurrent_kernel, bias, recurrent_bias=second)


def of_pairs(function: Any) -> Any:
    """`of_torch` of a function whose second argument is a pair."""

    def call(x: Any, state: tuple[Any, Any], *weights: Any) -> Any:
        return of_torch(lambda x, a, b, *weights: function(x, (a, b), *weights))(x, *state, *weights)

    return call


def gru_of_lengths(x: Any, lengths: Any, initial: Any, *weights: Any) -> Any:
    return gru.gru(x, *weights, initial=initial, lengths=lengths, reverse=True)


def torch_gru_of_lengths(
    x: Any, lengths: Any, initial: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any, second: Any
) -> Any:
    return torch_layer(
        "GRU", x, input_kernel, recurrent_kernel, bias,
        recurrent_bias=second, lengths=lengths, initial=initial, reverse=True,
    )  # fmt: skip


def lengths(rng: Any) -> Any:
    del rng
    return i32(3, 1)


def with_lengths(rng: Any) -> tuple[Any, ...]:
    x, *weights = sequences(3, (3 * H,))(rng)
    return (x, lengths(rng), normal(N, H)(rng), *weights)


NORMS: tuple[tuple[int, ...], ...] = ((4 * H,), (4 * H,), (H,), (H,))
ONE = f32([1])

CASES: list[Case] = [
    Case(
        elman.rnn_cell,
        steps(1),
        (0, 1, 2, 3, 4),
        oracle=of_torch(partial(torch_cell, "RNN")),
        edges=(((f32([1]), f32([2]), f32([0.5]), f32([0.25]), f32(-1)), f32([0])),),
    ),
    Case(
        elman.rnn,
        sequences(1),
        (0, 1, 2, 3),
        oracle=of_torch(partial(torch_layer, "RNN")),
    ),
    Case(
        partial(elman.rnn, activation=jax.nn.relu),
        sequences(1),
        (0, 1, 2, 3),
        label="relu",
        oracle=of_torch(partial(torch_layer, "RNN", nonlinearity="relu")),
        domain=(-10.0, 10.0),
    ),
    Case(gru.gru_cell, steps(3, (3 * H,)), (0, 1, 2, 3, 4, 5), oracle=of_torch(torch_gru_cell)),
    Case(gru.gru, sequences(3, (3 * H,)), (0, 1, 2, 3, 4), oracle=of_torch(torch_gru)),
    Case(gru_of_lengths, with_lengths, (0, 2, 3, 4, 5, 6), oracle=of_torch(torch_gru_of_lengths)),
    Case(gru.cho_gru_cell, steps(3), (0, 1, 2, 3, 4), oracle=of_torch(torch_step("cho_step"))),
    Case(gru.cho_gru, sequences(3), (0, 1, 2, 3), oracle=of_torch(partial(torch_loop, "cho_step"))),
    Case(
        gru.simple_gru_cell,
        steps(2),
        (0, 1, 2, 3, 4),
        oracle=of_torch(torch_step("simple_step")),
        edges=(  # a gate that is open takes the candidate, one that is shut keeps the state
            ((f32([1]), f32([3]), f32([90, 1]), f32([0, 0]), f32(0, 0)), f32([0.7615942])),
            ((f32([1]), f32([3]), f32([-90, 1]), f32([0, 0]), f32(0, 0)), f32([3])),
        ),
    ),
    Case(gru.simple_gru, sequences(2), (0, 1, 2, 3), oracle=of_torch(partial(torch_loop, "simple_step"))),
    Case(
        lstm.lstm_cell,
        steps(4, states=(H, H)),
        (0, 1, 2, 3, 4),
        oracle=of_pairs(partial(torch_cell, "LSTM")),
        errors=(
            (
                (ONE, (ONE, ONE), f32([1, 2, 3]), f32([1, 2, 3])),
                r"^recurrent_kernel must have 4 columns for each of 1 features, got shape \(1, 3\)",
            ),
            (
                (ONE, (ONE, f32([1, 2])), f32([1, 2, 3, 4]), f32([1, 2, 3, 4])),
                "must have 1 and 1 features by the kernels, got 1 and 2",
            ),
        ),
    ),
    Case(lstm.lstm, sequences(4), (0, 1, 2, 3), oracle=of_torch(partial(torch_layer, "LSTM"))),
    Case(
        lstm.lstm,
        sequences(4, (3, H), (H, P), rows=P),
        (0, 1, 2, 3, 4, 5),
        label="peepholes",
        oracle=of_torch(partial(torch_loop, "peephole_step", memory=True)),
    ),
    Case(
        lstm.layer_norm_lstm_cell,
        steps(4, *NORMS, states=(H, H)),
        (0, 1, 2, 3, 4, 5, 6, 7, 8),
        oracle=of_pairs(torch_step("layer_norm_step")),
    ),
    Case(
        lstm.layer_norm_lstm,
        sequences(4, *NORMS),
        (0, 1, 2, 3, 4, 5, 6, 7),
        oracle=of_torch(partial(torch_loop, "layer_norm_step", memory=True)),
    ),
]
