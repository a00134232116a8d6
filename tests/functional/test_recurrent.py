from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.extend.core import jaxpr_as_fun
from jax.test_util import check_grads

from fjdl.functional import cho_gru, gru, gru_cell, layer_norm_lstm, lstm, lstm_cell, rnn, simple_gru, simple_gru_cell
from tests.cases import recurrent as rows
from tests.cases.oracles import recurrent as oracles
from tests.support import assert_trees_close, float64

LENGTHS: Any = np.array([4, 1, 3])
N, T = 3, 4

LSTM_NORMS = [(16,), (16,), (4,), (4,)]


def weights(rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[Any]:
    return [rng.uniform(-0.7, 0.7, shape) for shape in shapes]


def of(gates: int, *more: tuple[int, ...], rows: int = 4) -> list[tuple[int, ...]]:
    return [(3, 4 * gates), (rows, 4 * gates), (4 * gates,), *more]


def gru_of_torch(x: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any, second: Any, **options: Any) -> Any:
    return oracles.module("GRU", x, input_kernel, recurrent_kernel, bias, recurrent_bias=second, **options)


def projected_of_torch(x: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any, projection: Any, **o: Any) -> Any:
    return oracles.module("LSTM", x, input_kernel, recurrent_kernel, bias, projection=projection, **o)


def projected(x: Any, input_kernel: Any, recurrent_kernel: Any, bias: Any, projection: Any, **options: Any) -> Any:
    return lstm(x, input_kernel, recurrent_kernel, bias, projection=projection, **options)


@pytest.mark.parametrize(
    ("function", "twin", "shapes", "sizes", "reverse"),
    [
        (rnn, partial(oracles.module, "RNN"), of(1), (4,), False),
        (gru, gru_of_torch, of(3, (12,)), (4,), True),
        (lstm, partial(oracles.module, "LSTM"), of(4), (4, 4), True),
        (projected, projected_of_torch, of(4, (4, 2), rows=2), (2, 4), False),
    ],
    ids=["rnn", "gru", "lstm", "projected"],
)
def test_outputs_and_gradients_of_ragged_batches_equal_torch(
    rng: np.random.Generator, function: Any, twin: Any, shapes: Any, sizes: Any, reverse: bool
) -> None:
    arrays = [rng.standard_normal((N, T, 3)), *weights(rng, *shapes), *weights(rng, *[(N, s) for s in sizes])]
    along = [*weights(rng, (N, T, sizes[0]), *[(N, s) for s in sizes])]
    states = len(sizes)

    def initial(given: Any) -> Any:
        return tuple(given) if states > 1 else given[0]

    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, last = twin(
        *tensors[:-states], initial=initial(tensors[-states:]), lengths=torch.tensor(LENGTHS), reverse=reverse
    )
    results = [y, *(last if states > 1 else (last,))]
    torch.stack([(a * torch.tensor(b)).sum() for a, b in zip(results, along, strict=True)]).sum().backward()

    def total(*arrays: Any) -> Any:
        found = function(*arrays[:-states], initial=initial(arrays[-states:]), lengths=LENGTHS, reverse=reverse)
        return sum(jnp.sum(a * b) for a, b in zip(jax.tree.leaves(found), along, strict=True)), found

    with float64():
        slopes, found = jax.jit(jax.grad(total, argnums=range(len(arrays)), has_aux=True))(*arrays)
        assert_trees_close(jax.tree.leaves(found), [a.detach().numpy() for a in results], rtol=1e-10, atol=1e-10)
        assert_trees_close(list(slopes), [np.asarray(t.grad) for t in tensors], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("function", "step", "shapes", "memory"),
    [
        (cho_gru, "cho_step", of(3), False),
        (simple_gru, "simple_step", of(2), False),
        (lstm, "peephole_step", of(4, (3, 4), (4, 2), rows=2), True),
        (layer_norm_lstm, "layer_norm_step", of(4, *LSTM_NORMS), True),
    ],
    ids=["cho_gru", "simple_gru", "peepholes", "layer_norm"],
)
def test_gradients_equal_those_of_a_loop_in_torch(
    rng: np.random.Generator, function: Any, step: str, shapes: Any, memory: bool
) -> None:
    arrays = [rng.standard_normal((N, T, 3)), *weights(rng, *shapes)]
    (along,) = weights(rng, (N, T, shapes[1][0]))
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, _ = rows.torch_loop(step, *tensors, memory=memory)
    (y * torch.tensor(along)).sum().backward()
    with float64():
        slopes = jax.jit(jax.grad(lambda *a: jnp.sum(function(*a)[0] * along), argnums=range(len(arrays))))(*arrays)
        assert_trees_close(list(slopes), [np.asarray(t.grad) for t in tensors], rtol=1e-10, atol=1e-10)


@pytest.mark.by_day_on_pin(1)
def test_second_derivatives_and_forward_mode_agree_with_differences(rng: np.random.Generator) -> None:
    """Of a cell with two products, a mask and states that are given."""
    arrays = [rng.standard_normal((2, 3, 2)), *weights(rng, (2, 8), (1, 8), (8,), (3, 2), (2, 1), (2, 1), (2, 2))]

    def total(*arrays: Any) -> Any:
        *most, output, memory = arrays
        y, last = lstm(*most, initial=(output, memory), lengths=jnp.array([3, 1]))
        return jnp.sum(jnp.sin(y)) + jnp.sum(last[1] ** 2)

    with float64():
        check_grads(jax.jit(total), arrays, order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-6)


def test_each_kernel_gets_its_gradient_in_one_product_behind_the_scan(rng: np.random.Generator) -> None:
    arrays = [rng.standard_normal((2, 5, 3)), *weights(rng, *of(3))]
    program = jax.make_jaxpr(jax.grad(lambda *a: jnp.sum(cho_gru(*a)[0]), argnums=(1, 2)))(*arrays)
    inside, outside = products(program.jaxpr, within=False)
    assert not [shape for shape in inside if shape in ((4, 8), (4, 4))]
    assert [shape for shape in outside if shape in ((4, 8), (4, 4))] == [(4, 4), (4, 8)]
    assert jaxpr_as_fun(program)(*arrays)[1].shape == (4, 12)


def products(jaxpr: Any, *, within: bool) -> tuple[list[Any], list[Any]]:
    """Shapes of the results of all products: inside of loops, and outside."""
    inside: list[Any] = []
    outside: list[Any] = []
    for equation in jaxpr.eqns:
        if equation.primitive.name.startswith("fjdl_") or equation.primitive.name == "dot_general":
            (inside if within else outside).append(equation.outvars[0].aval.shape)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            body = getattr(inner, "jaxpr", inner)
            if hasattr(body, "eqns"):
                found = products(body, within=within or equation.primitive.name == "scan")
                inside, outside = inside + found[0], outside + found[1]
    return inside, outside


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_changes_nothing_and_has_no_gradient_even_if_it_is_nan(rng: np.random.Generator, reverse: bool) -> None:
    x, *arrays = [rng.standard_normal((3, 4, 3)), *weights(rng, *of(4))]
    lengths: Any = np.array([2, 0, 4])
    spoiled = np.where(np.arange(4)[:, None] < lengths[:, None, None], x, np.nan).astype(np.float32)

    def total(x: Any, *arrays: Any) -> Any:
        y, last = lstm(x, *arrays, lengths=lengths, reverse=reverse)
        return jnp.sum(y**2) + sum(map(jnp.sum, last)), (y, last)

    program = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3), has_aux=True))
    slopes, (y, last) = program(spoiled, *map(jnp.float32, arrays))
    clean, expected = program(jnp.float32(x), *map(jnp.float32, arrays))
    assert_trees_close((slopes, (y, last)), (clean, expected), rtol=0, atol=0)
    padded = np.arange(4) >= lengths[:, None]
    assert not np.any(np.asarray(y)[padded])
    assert not np.any(np.asarray(slopes[0])[padded])
    assert not any(np.any(state[1]) for state in last)
    cut = lstm(jnp.float32(x[:1, :2]), *map(jnp.float32, arrays), reverse=reverse)
    assert_trees_close((y[:1, :2], (last[0][:1], last[1][:1])), cut, rtol=1e-6, atol=1e-6)


def test_two_halves_with_a_carried_state_are_the_whole(rng: np.random.Generator) -> None:
    x, *arrays = map(jnp.float32, [rng.standard_normal((2, 6, 3)), *weights(rng, *of(3, (12,)))])
    whole, last = gru(x, *arrays)
    first, carried = gru(x[:, :3], *arrays)
    second, end = gru(x[:, 3:], *arrays, initial=carried)
    assert_trees_close((jnp.concatenate([first, second], 1), end), (whole, last), rtol=1e-6, atol=1e-6)
    state = jnp.zeros((2, 4))
    for t in range(2):
        state = gru_cell(x[:, t], state, *arrays)
    np.testing.assert_allclose(state, whole[:, 1], rtol=1e-6, atol=1e-6)


def test_states_keep_their_dtype_and_are_float32_from_step_to_step(rng: np.random.Generator) -> None:
    """A state that loses 1 / 519 in each step would stand still if it were rounded to bfloat16."""
    ones = jnp.ones((1, 512, 1), jnp.bfloat16)
    arrays = (jnp.zeros((1, 2)), jnp.zeros((1, 2)), jnp.array([-6.25, 0.0]))
    y, last = simple_gru(ones, *arrays, initial=jnp.ones((1, 1)))
    assert (y.dtype, last.dtype) == (jnp.bfloat16, jnp.float32)
    np.testing.assert_allclose(last, [[(1 / (1 + np.exp(-6.25))) ** 512]], rtol=1e-4)
    assert simple_gru(ones, *arrays)[1].dtype == jnp.bfloat16


def test_e91_the_update_gate_multiplies_the_candidate_in_the_notes_and_the_old_state_in_libraries(
    rng: np.random.Generator,
) -> None:
    """So the notes' form is PyTorch's with the sign of the update gate turned and a reset gate that is open."""
    x, state, (w_z, w_n, u_z, u_n) = (
        rng.standard_normal((2, 3)), rng.standard_normal((2, 4)), weights(rng, (3, 4), (3, 4), (4, 4), (4, 4)),
    )  # fmt: skip
    notes = simple_gru_cell(*map(jnp.float32, (x, state, np.hstack([w_z, w_n]), np.hstack([u_z, u_n]))))
    cell = torch.nn.GRUCell(3, 4, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.tensor(np.vstack([0 * w_z.T, -w_z.T, w_n.T])))
        cell.weight_hh.copy_(torch.tensor(np.vstack([0 * u_z.T, -u_z.T, u_n.T])))
        cell.bias_ih.copy_(torch.tensor([90.0] * 4 + [0.0] * 8))
        cell.bias_hh.zero_()
        expected = cell(torch.tensor(x), torch.tensor(state)).numpy()
    np.testing.assert_allclose(notes, expected, rtol=1e-5, atol=1e-6)


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^lengths must be at least 0, got"):
        rnn(jnp.ones((1, 2, 1)), jnp.ones((1, 1)), jnp.ones((1, 1)), lengths=jnp.array([-1]))


def test_unsigned_lengths_are_lengths() -> None:
    x, one = jnp.ones((2, 3, 1)), jnp.ones((1, 1))
    found = [rnn(x, one, one, lengths=jnp.array([0, 2], dtype))[0] for dtype in ("uint8", "int32")]
    np.testing.assert_array_equal(*found)
    assert not found[0][0].any()


@pytest.mark.parametrize("size", [1, 6])
def test_states_and_peepholes_of_another_width_are_refused(size: int) -> None:
    x, kernels = jnp.ones((2, 3, 4)), (jnp.ones((4, 20)), jnp.ones((5, 20)))
    state = jnp.zeros((2, 5)), jnp.zeros((2, size))
    sentence = rf"^the states must have 5 and 5 features by the kernels, got 5 and {size}$"
    with pytest.raises(ValueError, match=sentence):
        lstm(x, *kernels, initial=state)
    with pytest.raises(ValueError, match=sentence):
        lstm_cell(x[:, 0], state, *kernels)
    with pytest.raises(
        ValueError, match=rf"^peepholes must have shape \(3, 5\) for this recurrent_kernel, got \(3, {size}\)$"
    ):
        lstm(x, *kernels, None, jnp.ones((3, size)))
