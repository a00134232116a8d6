from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import nn, optim, transfer, tree
from fjdl.errors import DataError
from fjdl.functional import initializers
from tests.support import assert_trees_close, float64

KEY = jax.random.key(0)
LENGTHS = np.array([4, 1, 3])


def drawn(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def params_of(module: Any, x: Any) -> Any:
    return jax.jit(module.init)(KEY, x)["params"]


TWINS = {
    "LSTM": (nn.LSTM(4, layers=2, bidirectional=True), torch.nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)),
    "projected": (nn.LSTM(4, projection=2), torch.nn.LSTM(3, 4, batch_first=True, proj_size=2)),
    "GRU": (nn.GRU(4, layers=2, bidirectional=True), torch.nn.GRU(3, 4, 2, batch_first=True, bidirectional=True)),
    "RNN": (nn.RNN(4, use_bias=False), torch.nn.RNN(3, 4, batch_first=True, bias=False)),
}


@pytest.mark.parametrize(("module", "twin"), TWINS.values(), ids=TWINS.keys())
def test_layers_with_weights_of_torch_have_its_outputs_states_and_gradients(
    rng: np.random.Generator, module: Any, twin: Any
) -> None:
    x, twin = rng.standard_normal((3, 4, 3)), twin.double()
    tensors = {name: t.numpy() for name, t in twin.state_dict().items()}
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(x), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    y, last = twin(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    torch.sum(y**2).backward()
    with float64():
        shapes = jax.eval_shape(module.init, KEY, x)["params"]
        wide = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.float64), shapes)
        params = transfer.recurrent_from_torch(tensors, wide)

        def total(params: Any) -> Any:
            outputs, states = module.apply({"params": params}, x, lengths=LENGTHS)
            return jnp.sum(outputs**2), (outputs, states)

        slopes, (outputs, states) = jax.jit(jax.grad(total, has_aux=True))(params)
        np.testing.assert_allclose(outputs, y.detach().numpy(), rtol=1e-10, atol=1e-10)
        found = [np.stack(parts) for parts in (zip(*states, strict=True) if isinstance(states[0], tuple) else [states])]
        wanted = [state.detach().numpy() for state in (last if isinstance(last, tuple) else (last,))]
        assert_trees_close(found, wanted, rtol=1e-10, atol=1e-10)
        gradients = transfer.recurrent_to_torch(slopes)
    for name, parameter in twin.named_parameters():
        if not name.startswith("bias_hh") or isinstance(twin, torch.nn.GRU):  # ours of others is their sum
            np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=1e-10, atol=1e-10)


CELLS = {
    "RNN": (nn.RNNCell(4), torch.nn.RNNCell(3, 4)),
    "GRU": (nn.GRUCell(4), torch.nn.GRUCell(3, 4)),
    "LSTM": (nn.LSTMCell(4), torch.nn.LSTMCell(3, 4)),
}


@pytest.mark.parametrize(("module", "twin"), CELLS.values(), ids=CELLS.keys())
def test_cells_with_weights_of_torch_have_its_outputs(rng: np.random.Generator, module: Any, twin: Any) -> None:
    x, state = drawn(rng, 2, 3), (drawn(rng, 2, 4), drawn(rng, 2, 4))
    given = state if module is CELLS["LSTM"][0] else state[0]
    params = transfer.recurrent_from_torch(
        {f"a.{name}": t.numpy() for name, t in twin.state_dict().items()}, params_of(module, x), prefix="a."
    )
    output, after = module.apply({"params": params}, x, given)
    with torch.no_grad():
        expected = twin(torch.tensor(x), jax.tree.map(torch.tensor, given))
        back = transfer.recurrent_to_torch(params, prefix="a.")
        twin.load_state_dict({name.removeprefix("a."): torch.tensor(t) for name, t in back.items()})
        again = twin(torch.tensor(x), jax.tree.map(torch.tensor, given))
    np.testing.assert_array_equal(output, jax.tree.leaves(after)[0])
    for tensors in (expected, again):
        wanted = tensors if isinstance(tensors, tuple) else (tensors,)
        assert_trees_close(jax.tree.leaves(after), [t.numpy() for t in wanted], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda t: t.pop("bias_hh_l0"), "got none named 'bias_hh_l0'"),
        (lambda t: t.update(more=t["bias_hh_l0"]), "got 1 unexpected, the first 'more'"),
        (
            lambda t: t.update(weight_hh_l0=t["weight_ih_l0"]),
            r"'layer0/recurrent/kernel' must have the shape \(4, 12\)",
        ),
    ],
    ids=["missing", "unexpected", "shape"],
)
def test_weights_of_another_layer_are_refused(change: Any, rule: str) -> None:
    tensors = {name: t.numpy() for name, t in torch.nn.GRU(3, 4).state_dict().items()}
    change(tensors)
    with pytest.raises(DataError, match=rule):
        transfer.recurrent_from_torch(tensors, params_of(nn.GRU(4), np.zeros((1, 1, 3), np.float32)))


def test_weights_that_torch_has_no_place_for_are_refused() -> None:
    params = jax.eval_shape(nn.LSTM(4, peepholes=True).init, KEY, np.zeros((1, 1, 3), np.float32))["params"]
    with pytest.raises(ValueError, match=r"^params must be those of a layer that PyTorch has, got 'peepholes' as well"):
        transfer.recurrent_to_torch(params)


def test_parameters_are_two_fused_kernels_and_biases_and_weight_decay_reaches_all_kernels() -> None:
    params = params_of(nn.LSTM(4, projection=2), jnp.zeros((1, 1, 3)))
    shapes = {name: leaf.shape for name, leaf in zip(tree.names(params), jax.tree.leaves(params), strict=True)}
    assert shapes == {
        "layer0/input/kernel": (3, 16),
        "layer0/input/bias": (16,),
        "layer0/recurrent/kernel": (2, 16),
        "layer0/projection/kernel": (4, 2),
    }
    decayed = tree.select(params, optim.KERNELS)
    assert jax.tree.leaves(decayed) == [float(name.endswith("kernel")) for name in tree.names(params)]
    np.testing.assert_array_equal(params["layer0"]["input"]["bias"], np.repeat([0, 1, 0, 0], 4))


def test_the_recurrent_kernel_of_each_gate_is_orthogonal() -> None:
    kernel = params_of(nn.GRU(4), jnp.zeros((1, 1, 3)))["layer0"]["recurrent"]["kernel"]
    for block in np.split(np.asarray(kernel), 3, axis=1):
        np.testing.assert_allclose(block.T @ block, np.eye(4), atol=1e-6)
    ones = params_of(nn.GRU(4, recurrent_init=initializers.ones()), jnp.zeros((1, 1, 3)))
    np.testing.assert_array_equal(ones["layer0"]["recurrent"]["kernel"], np.ones((4, 12)))


@pytest.mark.parametrize(
    ("merge", "of_numpy"),
    [(jnp.add, np.add), (jnp.multiply, np.multiply), (lambda a, b: (a + b) / 2, lambda a, b: (a + b) / 2)],
    ids=["sum", "product", "mean"],
)
def test_both_directions_merge_by_any_function(rng: np.random.Generator, merge: Any, of_numpy: Any) -> None:
    x = drawn(rng, 2, 3, 3)
    both = nn.SimpleGRU(4, bidirectional=True)
    params = params_of(both, x)
    halves = np.split(np.asarray(both.apply({"params": params}, x)[0]), 2, axis=-1)
    merged, _ = both.clone(merge=merge).apply({"params": params}, x)
    np.testing.assert_allclose(merged, of_numpy(*halves), rtol=1e-6, atol=1e-6)
    alone, _ = nn.SimpleGRU(4).apply({"params": {"layer0": params["layer0_reverse"]}}, x[:, ::-1])
    np.testing.assert_allclose(halves[1], alone[:, ::-1], rtol=1e-6, atol=1e-6)


def test_dropout_keeps_its_mask_over_time_and_drops_at_the_input_between_layers_and_at_the_output() -> None:
    x = jnp.ones((5, 3, 40))
    module = nn.RNN(
        40, layers=2, activation=lambda values: values, recurrent_init=initializers.zeros(), use_bias=False,
        kernel_init=initializers.identity(), input_dropout=0.2, dropout=0.5, output_dropout=0.75,
    )  # fmt: skip
    params = params_of(module, x)
    np.testing.assert_array_equal(module.apply({"params": params}, x)[0], x)
    outputs, _ = module.apply({"params": params}, x, train=True, rngs={"dropout": KEY})
    outputs = np.asarray(outputs)
    np.testing.assert_array_equal(outputs, np.broadcast_to(outputs[:, :1], outputs.shape))
    np.testing.assert_allclose(np.unique(outputs), [0, 1 / 0.8 / 0.5 / 0.25], rtol=1e-6)
    assert abs(np.mean(outputs > 0) - 0.8 * 0.5 * 0.25) < 0.06


def test_recurrent_dropout_drops_weights_of_the_recurrent_kernel_alone() -> None:
    x = jnp.ones((2, 2, 3))
    module = nn.RNN(50, activation=lambda values: values, recurrent_dropout=0.5, recurrent_init=initializers.ones())
    params = jax.tree.map(jnp.ones_like, params_of(module, x))
    (y, _), (sure, _) = (module.apply({"params": params}, x, train=t, rngs={"dropout": KEY}) for t in (True, False))
    np.testing.assert_array_equal(y[:, 0], np.full((2, 50), 4))
    np.testing.assert_array_equal(sure[:, 1], np.full((2, 50), 204))
    kept = (np.asarray(y[:, 1]) - 4) / 8
    np.testing.assert_array_equal(kept, np.round(kept))
    np.testing.assert_array_equal(kept[0], kept[1])
    assert 10 < kept.min() < kept.max() < 40


def test_states_that_are_carried_and_sequences_of_no_steps(rng: np.random.Generator) -> None:
    x = drawn(rng, 2, 4, 3)
    module = nn.LayerNormLSTM(4, layers=2)
    params = params_of(module, x)
    run = jax.jit(module.apply)
    whole, last = run({"params": params}, x)
    first, carried = run({"params": params}, x[:, :2])
    second, end = run({"params": params}, x[:, 2:], initial=carried)
    assert_trees_close((jnp.concatenate([first, second], 1), end), (whole, last), rtol=1e-5, atol=1e-6)
    empty, same = run({"params": params}, x[:, :0], initial=carried)
    assert empty.shape == (2, 0, 4)
    assert_trees_close(same, carried, rtol=0, atol=0)


def test_another_number_of_states_and_no_layers_are_refused() -> None:
    x = jnp.zeros((1, 2, 3))
    with pytest.raises(ValueError, match=r"^initial must hold 2 states, got 1"):
        nn.GRU(4, bidirectional=True).init(KEY, x, initial=(jnp.zeros((1, 4)),))
    for module, rule in ((nn.GRU(4, layers=0), "layers must be"), (nn.GRUCell(0), "features must be at least 1")):
        with pytest.raises(ValueError, match=rule):
            module.init(KEY, x[:, 0] if isinstance(module, nn.GRUCell) else x)
