from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from fjdl import nn
from fjdl.functional import cudnn_lstm, lstm
from fjdl.functional.recurrent import cudnn
from fjdl.nn import recurrent_cells
from tests.support import assert_trees_close

LENGTHS = np.array([4, 1, 3], np.int32)


def arrays_of(rng: np.random.Generator) -> list[Any]:
    """Sequences, weights, and first states."""
    shapes = ((3, 4, 2), (2, 20), (5, 20), (20,), (3, 5), (3, 5))
    return [jnp.asarray(rng.uniform(-1, 1, shape), jnp.float32) for shape in shapes]


def reference(x: Any, output: Any, memory: Any, weights: Any, lengths: Any, **options: Any) -> Any:
    """JAX's own account of what cuDNN computes from one vector of weights."""
    sizes = [options[name] for name in ("input_size", "hidden_size", "num_layers", "bidirectional")]
    return rnn.lstm_ref(x, output, memory, *rnn.unpack_lstm_weights(weights, *sizes), lengths, **options)


@pytest.mark.parametrize("reverse", [False, True])
def test_states_weights_and_padding_are_handed_to_cudnn_as_it_wants_them(
    rng: np.random.Generator, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its branch for GPUs, with JAX's description of cuDNN in its place."""
    monkeypatch.setattr(rnn, "lstm", reference)
    monkeypatch.setattr(cudnn, "_installed", lambda: True)
    monkeypatch.setattr(cudnn, "by_platform", lambda *arrays, cuda, elsewhere: cuda(*arrays))
    x, *weights, output, memory = arrays_of(rng)
    spoiled = jnp.where(np.arange(4)[None, :, None] < LENGTHS[:, None, None], x, jnp.nan)
    options: Any = {"initial": (output, memory), "lengths": LENGTHS, "reverse": reverse}
    assert_trees_close(cudnn_lstm(spoiled, *weights, **options), lstm(x, *weights, **options), rtol=1e-5, atol=1e-6)


def test_on_a_cpu_it_is_the_plain_layer_with_its_gradients(rng: np.random.Generator) -> None:
    x, *weights, _, _ = arrays_of(rng)

    def both(layer: Any) -> Any:
        return jax.jit(jax.value_and_grad(lambda *a: jnp.sum(layer(*a, lengths=LENGTHS)[0] ** 2), (0, 1, 2, 3)))

    assert_trees_close(both(cudnn_lstm)(x, *weights), both(lstm)(x, *weights), rtol=1e-6, atol=1e-6)


def test_the_vector_of_weights_has_both_kernels_and_then_both_biases() -> None:
    kernel, recurrent, bias = jnp.arange(8.0).reshape(2, 4), 10 + jnp.arange(4.0).reshape(1, 4), 20 + jnp.arange(4.0)
    vector = cudnn.cudnn_weights(kernel, recurrent, bias)
    inputs, states, first, second = rnn.unpack_lstm_weights(vector, 2, 1, 1, False)
    for found, wanted in ((inputs, kernel.T), (states, recurrent.T), (first, bias), (second, 0 * bias)):
        np.testing.assert_array_equal(found[0], wanted)


@pytest.mark.parametrize(("options", "taken"), [({}, True), ({"peepholes": True}, False), ({"projection": 2}, False)])
def test_the_layer_takes_cudnn_where_its_options_allow_it(options: Any, taken: bool) -> None:
    assert (nn.LSTMCell(3, cudnn=True, **options).functions()[1] is cudnn_lstm) == taken
    assert nn.LSTMCell(3, **options).functions()[1] is lstm
    layer = nn.LSTM(3, cudnn=True, **options)
    with pytest.MonkeyPatch.context() as patch:
        calls: list[Any] = []
        patch.setattr(recurrent_cells, "cudnn_lstm", lambda *a, **o: calls.append(a) or lstm(*a, **o))
        jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((2, 3, 4)))
    assert bool(calls) == taken


def test_other_dtypes_take_the_plain_layer(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn, "_installed", lambda: True)
    arrays = [a.astype(jnp.bfloat16) for a in arrays_of(rng)[:4]]
    assert_trees_close(cudnn_lstm(*arrays), lstm(*arrays), rtol=0, atol=0)


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="cuDNN runs on GPUs of NVIDIA")
@pytest.mark.parametrize("reverse", [False, True])
def test_cudnn_has_the_values_and_gradients_of_the_plain_layer(rng: np.random.Generator, reverse: bool) -> None:
    x, *weights, output, memory = arrays_of(rng)

    def both(layer: Any) -> Any:
        def total(*arrays: Any) -> Any:
            y, last = layer(*arrays, initial=(output, memory), lengths=LENGTHS, reverse=reverse)
            return jnp.sum(y**2) + sum(map(jnp.sum, last))

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2, 3)))

    with jax.default_matmul_precision("highest"):
        assert_trees_close(both(cudnn_lstm)(x, *weights), both(lstm)(x, *weights), rtol=1e-4, atol=1e-5)
