"""Recurrent layers and a training step of a language model: fjdl, a plain scan in JAX, Flax, PyTorch.

The peer is PyTorch, or the last of the others where PyTorch is not installed, as beside newer versions of JAX, or has
no CUDA beside a GPU. All layers have `FEATURES` units and batches of `BATCH` sequences of `STEPS` words. On a GPU the
LSTM also runs by cuDNN, which should take at most 1.05 times PyTorch's time, and our scan at most twice cuDNN's.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from experiments.benchmarks.comparison import Comparison
from fjdl import nn
from fjdl.functional import linear
from fjdl.losses import softmax_cross_entropy

LAYERS, FEATURES, BATCH, STEPS = 2, 512, 64, 35
WORDS = 33_278  # of WikiText-2
RATE = 0.1

Run = Callable[[], Any]


def comparisons(only: str) -> Iterator[Comparison]:
    """Layers alone, forward and backward, then the training step."""
    every = {
        "LSTM, 2 layers": partial(layers_alone, "LSTM"),
        "GRU, 2 layers": partial(layers_alone, "GRU"),
        "LSTM language model": language_model,
    }
    for name, make in every.items():
        if only.lower() in name.lower():
            yield Comparison(name, make())


def layers_alone(kind: str) -> dict[str, Run]:
    """Outputs and gradients of layers that are given sequences of vectors; the scan beside cuDNN where there is one."""
    x = np.random.default_rng(0).standard_normal((BATCH, STEPS, FEATURES)).astype(np.float32)
    runs = {"fjdl": ours_alone(kind, x)}
    if kind == "LSTM":
        if jax.default_backend() == "gpu":
            runs["fjdl, cuDNN"] = ours_alone(kind, x, cudnn=True)
        runs["plain scan"] = plain_alone(x)
    runs["Flax"] = flax_alone(kind, x)
    if torch_is_beside():
        runs["PyTorch"] = torch_alone(kind, x)
    return runs


def torch_is_beside() -> bool:
    """Whether PyTorch is installed, with CUDA where JAX runs on a GPU."""
    if not find_spec("torch"):
        return False
    import torch

    return jax.default_backend() != "gpu" or torch.cuda.is_available()


def ours_alone(kind: str, x: np.ndarray, **options: bool) -> Run:
    """The layer of `fjdl.nn`."""
    layer = getattr(nn, kind)(FEATURES, layers=LAYERS, **options)
    return both_ways(lambda params, x: layer.apply(params, x)[0], layer.init(jax.random.key(0), x), x)


def plain_alone(x: np.ndarray) -> Run:
    """A scan with the input's product before it and one product of all gates, differentiated by JAX."""
    return both_ways(plain_layers, plain_params(), x)


def flax_alone(kind: str, x: np.ndarray) -> Run:
    """The layers of Flax, with its optimized cell for the LSTM."""
    layers = FlaxLayers(kind)
    return both_ways(layers.apply, layers.init(jax.random.key(0), x), x)


def both_ways(apply: Callable[[Any, Any], Any], params: Any, x: np.ndarray) -> Run:
    """One jitted call for the outputs and the gradients of parameters and inputs."""
    ones = jnp.ones((BATCH, STEPS, FEATURES))

    @jax.jit
    def program(params: Any, x: Any) -> Any:
        y, pullback = jax.vjp(apply, params, x)
        return y, pullback(ones)

    arrays = params, jnp.asarray(x)
    return lambda: jax.block_until_ready(program(*arrays))


class FlaxLayers(linen.Module):
    """As many layers of Flax."""

    kind: str

    @linen.compact
    def __call__(self, x: Any) -> Any:
        """[n, t, d] to the outputs of the last layer."""
        cell = {"LSTM": linen.OptimizedLSTMCell, "GRU": linen.GRUCell}[self.kind]
        for _ in range(LAYERS):
            x = linen.RNN(cell(FEATURES))(x)
        return x


def plain_params() -> Any:
    """Both kernels and the bias of each layer."""
    rng = np.random.default_rng(0)
    shapes = {"input": (FEATURES, 4 * FEATURES), "recurrent": (FEATURES, 4 * FEATURES), "bias": (4 * FEATURES,)}
    drawn = [
        {name: 0.04 * rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(LAYERS)
    ]
    return jax.tree.map(jnp.asarray, drawn)


def plain_layers(params: Any, x: Any) -> Any:
    """The layers of `plain_alone`."""
    for layer in params:

        def step(state: Any, gates: Any, layer: Any = layer) -> Any:
            output, memory = state
            i, f, g, o = jnp.split(gates + output @ layer["recurrent"], 4, axis=-1)
            memory = jax.nn.sigmoid(f) * memory + jax.nn.sigmoid(i) * jnp.tanh(g)
            output = jax.nn.sigmoid(o) * jnp.tanh(memory)
            return (output, memory), output

        gates = jnp.swapaxes(x, 0, 1) @ layer["input"] + layer["bias"].reshape(1, 1, -1)
        zeros = jnp.zeros((x.shape[0], FEATURES))
        x = jnp.swapaxes(jax.lax.scan(step, (zeros, zeros), gates)[1], 0, 1)
    return x


def torch_alone(kind: str, x: np.ndarray) -> Run:
    """The layers of PyTorch."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = torch.device("cuda" if jax.default_backend() == "gpu" else "cpu")
    layer = getattr(torch.nn, kind)(FEATURES, FEATURES, LAYERS, batch_first=True).to(device)
    inputs = torch.tensor(x, device=device, requires_grad=True)
    ones = torch.ones(BATCH, STEPS, FEATURES, device=device)

    def run() -> None:
        layer.zero_grad()
        inputs.grad = None
        layer(inputs)[0].backward(ones)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def language_model() -> dict[str, Run]:
    """A training step: embedding, layers, the embedding again as the decoder's kernel, the loss, and the update."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, WORDS, (BATCH, STEPS + 1)).astype(np.int32)
    table = 0.1 * rng.standard_normal((WORDS, FEATURES)).astype(np.float32)
    layer, flax = nn.LSTM(FEATURES, layers=LAYERS), FlaxLayers("LSTM")
    x = jnp.zeros((BATCH, STEPS, FEATURES))
    runs = {
        "fjdl": jax_step(
            lambda params, x: layer.apply(params, x)[0], layer.init(jax.random.key(0), x), table, words, our_loss
        ),
        "plain scan": jax_step(plain_layers, plain_params(), table, words, plain_loss),
        "Flax": jax_step(flax.apply, flax.init(jax.random.key(0), x), table, words, plain_loss),
    }
    if torch_is_beside():
        runs["PyTorch"] = torch_step(table, words)
    return runs


def our_loss(hidden: Any, table: Any, bias: Any, labels: Any) -> Any:
    """The mean cross entropy of the next words."""
    return jnp.mean(softmax_cross_entropy(linear(hidden, table.T, bias), labels))


def plain_loss(hidden: Any, table: Any, bias: Any, labels: Any) -> Any:
    """The same by JAX alone."""
    logs = jax.nn.log_softmax(hidden @ table.T + bias.reshape(1, 1, -1))
    return -jnp.mean(jnp.take_along_axis(logs, labels[..., None], axis=-1))


def jax_step(
    apply: Callable[[Any, Any], Any], params: Any, table: np.ndarray, words: np.ndarray, loss: Callable[..., Any]
) -> Run:
    """One jitted and donated step of gradient descent."""

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, words: Any) -> Any:
        def total(state: Any) -> Any:
            hidden = apply(state["layers"], jnp.take(state["table"], words[:, :-1], axis=0))
            return loss(hidden, state["table"], state["bias"], words[:, 1:])

        value, slopes = jax.value_and_grad(total)(state)
        return jax.tree.map(lambda p, g: p - RATE * g, state, slopes), value

    state: Any = {"layers": params, "table": table, "bias": np.zeros(WORDS, np.float32)}
    holder, ids = [jax.tree.map(jnp.array, state)], jnp.asarray(words)

    def run() -> None:
        holder[0], value = step(holder[0], ids)
        jax.block_until_ready((holder[0], value))

    return run


def torch_step(table: np.ndarray, words: np.ndarray) -> Run:
    """The same step in PyTorch."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = torch.device("cuda" if jax.default_backend() == "gpu" else "cpu")
    embedding = torch.nn.Embedding(WORDS, FEATURES)
    layer = torch.nn.LSTM(FEATURES, FEATURES, LAYERS, batch_first=True)
    decoder = torch.nn.Linear(FEATURES, WORDS)
    embedding.weight.data.copy_(torch.tensor(table))
    decoder.weight = embedding.weight
    model = torch.nn.ModuleList([embedding, layer, decoder]).to(device)
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    inputs, labels = (torch.tensor(w, dtype=torch.int64, device=device) for w in (words[:, :-1], words[:, 1:]))

    def run() -> None:
        optimizer.zero_grad()
        logits = decoder(layer(embedding(inputs))[0])
        torch.nn.functional.cross_entropy(logits.reshape(-1, WORDS), labels.reshape(-1)).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run
