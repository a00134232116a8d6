"""Text of a language model token by token: one compiled loop with a carried state against the naive loop.

The naive loop computes the whole prefix again for each token and chooses on the host. Its prefix is padded to the final
length, so that it is compiled once.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.comparison import Comparison
from fjdl import nn
from fjdl.decoding import beam_search, greedy
from fjdl.functional import linear

LAYERS, FEATURES, WORDS = 2, 256, 2000
BATCH, LENGTH, BEAMS = 8, 64, 4

Run = Callable[[], Any]


def comparisons(only: str) -> Iterator[Comparison]:
    """The most probable token each time, and a beam search, whose peer is the same loop; times are those of a token."""
    for name, make in (("greedy decoding", _greedy), (f"beam search, {BEAMS} beams", _beams)):
        if only.lower() in name.lower():
            yield Comparison(f"{name}, {LENGTH} tokens", {"fjdl": make(), "naive loop": naive()}, LENGTH)


def naive() -> Run:
    """The prefix grows by the best token of the logits behind it."""
    layer, params = _model()

    @jax.jit
    def forward(params: Any, tokens: Any) -> Any:
        hidden, _ = layer.apply(params["lstm"], jnp.take(params["table"], tokens, axis=0))
        return linear(hidden, params["table"].T)

    def run() -> np.ndarray:
        tokens = np.zeros((BATCH, LENGTH + 1), np.int32)
        for place in range(LENGTH):
            tokens[:, place + 1] = np.asarray(forward(params, tokens[:, :-1]))[:, place].argmax(-1)
        return tokens[:, 1:]

    return run


def _greedy() -> Run:
    return _decoded(lambda step, state, prompt: greedy(step, state, prompt, length=LENGTH))


def _beams() -> Run:
    return _decoded(lambda step, state, prompt: beam_search(step, state, prompt, beams=BEAMS, length=LENGTH))


def _decoded(search: Callable[..., Any]) -> Run:
    """Tokens by a search, with the state of each layer carried on."""
    layer, params = _model()

    @jax.jit
    def decode(params: Any, prompt: Any) -> Any:
        def step(state: Any, tokens: Any) -> Any:
            words = jnp.take(params["table"], tokens, axis=0)[:, None]
            hidden, state = layer.apply(params["lstm"], words, initial=state)
            return linear(hidden[:, 0], params["table"].T), state

        zeros = jnp.zeros((BATCH, FEATURES))
        return search(step, tuple((zeros, zeros) for _ in range(LAYERS)), prompt).tokens

    prompt = np.zeros((BATCH, 1), np.int32)
    return lambda: np.asarray(decode(params, prompt))


def _model() -> tuple[Any, Any]:
    """An LSTM with tied word vectors that are large enough for different texts."""
    layer = nn.LSTM(FEATURES, layers=LAYERS)
    table = 0.5 * jax.random.normal(jax.random.key(1), (WORDS, FEATURES))
    return layer, {"table": table, "lstm": layer.init(jax.random.key(0), table[None, :2])}
