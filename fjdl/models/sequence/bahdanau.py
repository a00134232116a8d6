"""A decoder whose state is made with what it looks at: Bahdanau, Cho & Bengio 2015, arXiv:1409.0473."""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen

from fjdl.analysis import Layer
from fjdl.explicit import with_batch_axis
from fjdl.functional import initializers
from fjdl.functional.attention_scores import attention_weights, tanh_scores
from fjdl.functional.linear import linear
from fjdl.functional.recurrent.gru import reset_after
from fjdl.lengths import length_mask
from fjdl.lowering.recurrent import Cell, Weights, one_step, recurrence
from fjdl.models.sequence.decoders import Bridge, Looking
from fjdl.models.sequence.memory import Memory
from fjdl.nn import recurrent_cells as cells
from fjdl.nn.activations import Maxout
from fjdl.nn.attention import without_padding
from fjdl.nn.layers import Dense, Dropout
from fjdl.numerics import widened
from fjdl.typing import Array

Initializer = initializers.Initializer


class Seen(NamedTuple):
    """The memory as attention takes it."""

    keys: Array  # [n, s, units]
    values: Array  # [n, s, e]
    inside: Array  # [n, s], 1 for steps that count and 0 for padding
    vector: Array  # [units]


class AttentiveGRU(linen.Module):
    """A GRU of `features` whose input is a word and the context that its state before has looked for.

    The context `c = Σ αⱼ vⱼ` has weights `softmax(vᵀ tanh(W state + U vⱼ))` with `units` hidden units; gates and
    candidate are those of `functional.gru_cell` with the input `[word; c]`.
    """

    features: int
    units: int
    kernel_init: Initializer = initializers.glorot_uniform()
    recurrent_init: Initializer = initializers.orthogonal()

    def setup(self) -> None:
        """The parameters."""
        h, a, init, zeros = self.features, self.units, self.kernel_init, initializers.zeros()
        self.input, self.key = Dense(3 * h, kernel_init=init), Dense(a, use_bias=False, kernel_init=init)
        self.recurrent = cells.Weights((h, 3 * h), cells.each_gate(self.recurrent_init, 3), zeros)
        self.query, self.context = cells.Weights((h, a), init), Columns(3 * h, init)
        self.score = cells.Weights((a, 1), init)

    def __call__(self, x: Array, values: Array, first: Array, lengths: Array | None = None) -> Array:
        """Words [n, t, d], values [n, s, e] and the first state [n, h] to states and contexts [n, t, h + e]."""
        weights = self._weights(self.seen(*self.remember(values, lengths), lengths))
        return with_batch_axis(partial(_over_words, self.features), self.input(x), self.start(first, values), weights)

    def step(self, x: Array, state: Array, seen: Seen) -> Array:
        """The states and contexts [n, h + e] after words [n, d]."""
        after = one_step(self.input(x), (state,), self._weights(seen), cell=_cell(self.features))
        return after[0].astype(state.dtype)

    def remember(self, values: Array, lengths: Array | None) -> tuple[Array, Array]:
        """The keys [n, s, units] of the values, and the values, 0 after their lengths."""
        values = without_padding(values, lengths)
        return self.key(values), values

    def seen(self, keys: Array, values: Array, lengths: Array | None) -> Seen:
        """The memory as attention takes it."""
        full = jnp.full(values.shape[:1], values.shape[1]) if lengths is None else lengths
        return Seen(keys, values, length_mask(full, steps=values.shape[1]).astype(jnp.float32), self.score()[0][:, 0])

    def start(self, first: Array, values: Array) -> Array:
        """A first state, with no context yet."""
        none = jnp.zeros_like(jnp.sum(values, axis=1), first.dtype)  # sharded as the values are
        return jnp.concatenate([first, none], axis=-1)

    def weights(self, states: Array, seen: Seen) -> Array:
        """The weights [n, t, s] of attention of states [n, t, h]."""
        return _shares(linear(states, self.query()[0]), seen)

    def cost(self, shape: tuple[int, ...], memory: tuple[int, ...]) -> Layer:
        """What it costs for one example of `shape` [t, d] to read a memory of the shape [s, e]."""
        (t, d), (s, e), h, a = shape, memory, self.features, self.units
        each = (d + e + h) * 3 * h + h * a
        return Layer(
            name="attentive",
            output=(t, h + e),
            parameters=each + 6 * h + (e + 1) * a,
            macs=t * each + s * e * a + t * s * (a + e),
        )

    def _weights(self, seen: Seen) -> Weights:
        (recurrent, bias), (query, _) = self.recurrent(), self.query()
        joint = jnp.concatenate([query, recurrent], axis=-1)
        kernels = joint, self.context(seen.values.shape[-1])
        biases = None if bias is None else jnp.concatenate([jnp.zeros(self.units), bias])
        return Weights(kernels, (biases, None), seen)


class Columns(linen.Module):
    """A kernel with so many columns."""

    columns: int
    kernel_init: Initializer

    @linen.compact
    def __call__(self, rows: int) -> Array:
        """The kernel with so many rows."""
        return self.param("kernel", self.kernel_init, (rows, self.columns))


class BahdanauDecoder(linen.Module):
    """`AttentiveGRU`, which begins with the summary of the memory, and its outputs.

    The outputs are a maxout of two pieces of `[word; state; context]`; the paper takes the state before. In training
    they are dropped at `rate`.
    """

    hidden: int
    features: int
    units: int
    rate: float = 0.0

    def setup(self) -> None:
        """The parts."""
        self.attentive, self.bridge = AttentiveGRU(self.hidden, self.units), Bridge()
        self.readout, self.dropout = Maxout(self.features, 2), Dropout(self.rate)

    def __call__(self, x: Array, memory: Memory, lengths: Array | None = None, *, train: bool = False) -> Array:
        """[n, t, d] to [n, t, features]; `lengths` count the words."""
        return self._read(x, self._run(x, memory, lengths), train=train)

    def begin(self, memory: Memory, *, steps: int) -> Looking:
        """The state before the first word."""
        del steps
        own = self.attentive.start(self._first(memory), memory.values)
        return Looking(own, self.attentive.remember(memory.values, memory.lengths), memory.lengths)

    def step(self, x: Array, state: Looking) -> tuple[Array, Looking]:
        """One word of each sequence, [n, 1, d], to [n, 1, features] and the next state."""
        keys, values = state.memory
        own = self.attentive.step(x[:, 0], state.own, self.attentive.seen(keys, values, state.lengths))
        return self._read(x, own[:, None], train=False), state._replace(own=own)

    def weights(self, x: Array, memory: Memory, lengths: Array | None = None) -> Array:
        """The weights of attention of each word's step."""
        states = self._run(x, memory, lengths)[..., : self.hidden]
        before = jnp.concatenate([self._first(memory)[:, None], states[:, :-1]], axis=1)
        kept = self.attentive.remember(memory.values, memory.lengths)
        return self.attentive.weights(before, self.attentive.seen(*kept, memory.lengths))

    def _run(self, x: Array, memory: Memory, lengths: Array | None) -> Array:
        found = self.attentive(x, memory.values, self._first(memory), memory.lengths)
        return without_padding(found, lengths)

    def _first(self, memory: Memory) -> Array:
        like = jax.ShapeDtypeStruct((memory.summary.shape[0], self.hidden), memory.summary.dtype)
        return self.bridge(memory.summary, like)

    def _read(self, x: Array, found: Array, *, train: bool) -> Array:
        return self.dropout(self.readout(jnp.concatenate([x, found], axis=-1)), train=train)


def _over_words(features: int, gates: Array, start: Array, weights: Weights) -> Array:
    """States and contexts [n, t, h + e] of inputs [n, t, 3h] and the first of them [n, h + e]."""
    outputs, _ = recurrence(jnp.swapaxes(gates, 0, 1), (start,), weights, cell=_cell(features))
    return jnp.swapaxes(outputs, 0, 1)


@cache
def _cell(features: int) -> Cell:
    """The step of an `AttentiveGRU`, whose one state is the GRU's and the context side by side."""

    def state(x: Any, states: Any, products: Any, seen: Seen) -> Array:
        del x, products, seen
        return states[0][..., :features]

    def context(x: Any, states: Any, products: Any, seen: Seen) -> Array:
        del x, states
        query = products[0][..., : products[0].shape[-1] - 3 * features]
        return jnp.sum(_shares(query[:, None], seen)[:, 0, :, None] * seen.values, axis=-2)

    def update(x: Array, states: Any, products: Any, seen: Seen) -> tuple[Array]:
        before = state(x, states, products, seen)
        new = reset_after(x + products[1], products[0][..., -3 * features :], before)
        return (jnp.concatenate([new, context(x, states, products, seen)], axis=-1),)

    return Cell(factors=(state, context), update=update, added=False)


def _shares(query: Array, seen: Seen) -> Array:
    """The weights [n, t, s] of queries [n, t, units], in float32."""
    scores = tanh_scores(*map(widened, (query, seen.keys, seen.vector)))
    return attention_weights(scores, seen.inside[:, None] > 0)
