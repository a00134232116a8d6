"""Decoders: what they make of the words so far and of a memory, all at once or step by step.

Each takes vectors of words `[n, t, d]` and gives outputs `[n, t, features]`, of which scores of the next words are
made. `begin` makes a state of a memory, `step` takes one word for each sequence; what of the state is the memory's is
handed on untouched. `weights` are those of attention, `[n, t, s]`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen

from fjdl.models.sequence.memory import Memory, Part
from fjdl.nn.embedding import SinusoidalPositions
from fjdl.nn.layers import Dense, Dropout
from fjdl.nn.transformer import TransformerDecoder
from fjdl.typing import Array


class Looking(NamedTuple):
    """The state of a decoder that looks at a memory."""

    own: Any  # what the words so far have made
    memory: Any  # what stays
    lengths: Array | None  # of the memory


class Placed(NamedTuple):
    """The state of a `TransformerTextDecoder`."""

    kept: Any  # of each block
    position: Array  # int, of the next word
    lengths: Array | None  # of the memory


class Bridge(linen.Module):
    """The first states of a decoder: a dense layer and tanh of the summary for each (Bahdanau et al. 2015, A.2.2)."""

    @linen.compact
    def __call__(self, summary: Array, states: Any) -> Any:
        """[n, m] to arrays of the shapes of `states`."""
        leaves, structure = jax.tree.flatten(states)
        made = [jnp.tanh(Dense(leaf.shape[-1], name=f"state{i}")(summary)) for i, leaf in enumerate(leaves)]
        return jax.tree.unflatten(structure, made)


class RecurrentDecoder(linen.Module, kw_only=True):
    """Recurrent layers over the words, which begin with the summary of the memory, and their attention to it.

    `layer` makes the layers, such as `partial(nn.GRU, features=512)`. The outputs are `tanh(W [context; state])` of so
    many `features`, without a bias (Luong et al. 2015, arXiv:1508.04025, eq. 5). `look` makes the attention, such as
    `partial(nn.LuongAttention, 512)`, `partial(nn.AdditiveAttention, 512)` or `nn.DotAttention`. Without one the
    outputs are those of the layers, as in Sutskever et al. 2014, arXiv:1409.3215, and for captions in Vinyals et al.
    2015, arXiv:1411.4555. In training, outputs are dropped at `rate`.
    """

    layer: Part
    look: Part | None = None
    features: int
    rate: float = 0.0

    def setup(self) -> None:
        """The parts."""
        self.recurrent, self.bridge = self.layer(), Bridge()
        self.dropout = Dropout(self.rate)
        if self.look is not None:
            self.attention, self.readout = self.look(), Dense(self.features, use_bias=False)

    def __call__(self, x: Array, memory: Memory, lengths: Array | None = None, *, train: bool = False) -> Array:
        """[n, t, d] to [n, t, features]; `lengths` count the words."""
        outputs, _ = self.recurrent(x, lengths=lengths, initial=self._first(x, memory), train=train)
        return self._read(outputs, self._kept(memory), memory.lengths, train=train)

    def begin(self, memory: Memory, *, steps: int) -> Looking:
        """The state before the first word."""
        del steps
        return Looking(self._first(memory.summary, memory), self._kept(memory), memory.lengths)

    def step(self, x: Array, state: Looking) -> tuple[Array, Looking]:
        """One word of each sequence, [n, 1, d], to [n, 1, features] and the next state."""
        outputs, own = self.recurrent(x, initial=state.own)
        return self._read(outputs, state.memory, state.lengths, train=False), state._replace(own=own)

    def weights(self, x: Array, memory: Memory, lengths: Array | None = None) -> Array:
        """The weights of attention of each word's step. Raises `ValueError` without attention."""
        if self.look is None:
            raise ValueError("look must make an attention that has weights, got None")
        outputs, _ = self.recurrent(x, lengths=lengths, initial=self._first(x, memory))
        return self.attention.weights(outputs, self._kept(memory), lengths=memory.lengths)

    def _first(self, x: Array, memory: Memory) -> Any:
        return self.bridge(memory.summary, self.recurrent.begin(x.shape[0], dtype=x.dtype))

    def _kept(self, memory: Memory) -> Any:
        return None if self.look is None else self.attention.remember(memory.values, lengths=memory.lengths)

    def _read(self, outputs: Array, kept: Any, lengths: Array | None, *, train: bool) -> Array:
        if self.look is not None:
            contexts = self.attention.attend(outputs, kept, lengths=lengths)
            outputs = jnp.tanh(self.readout(jnp.concatenate([contexts, outputs], axis=-1)))
        return self.dropout(outputs, train=train)


class TransformerTextDecoder(linen.Module):
    """Positions and a `TransformerDecoder` of `depth` blocks that attend to the memory; steps keep keys and values."""

    block: Part
    depth: int
    norm: Part | None = None
    rate: float = 0.1
    positions: Part = SinusoidalPositions

    def setup(self) -> None:
        """The parts."""
        self.places, self.dropout = self.positions(), Dropout(self.rate)
        self.stack = TransformerDecoder(self.block, self.depth, self.norm)

    def __call__(self, x: Array, memory: Memory, lengths: Array | None = None, *, train: bool = False) -> Array:
        """[n, t, d] to the same shape; `lengths` count the words."""
        x = self.dropout(self.places(x), train=train)
        return self.stack(x, memory.values, lengths=lengths, memory_lengths=memory.lengths, train=train)

    def begin(self, memory: Memory, *, steps: int) -> Placed:
        """The state before the first of so many words."""
        n, dtype = memory.values.shape[0], memory.values.dtype
        kept = self.stack.begin(n, memory.values, steps=steps, memory_lengths=memory.lengths, dtype=dtype)
        return Placed(kept, jnp.zeros((), jnp.int32), memory.lengths)

    def step(self, x: Array, state: Placed) -> tuple[Array, Placed]:
        """One word of each sequence, [n, 1, d], to the same shape and the next state."""
        x = self.places(x, first=state.position)
        x, kept = self.stack.decode(x, state.kept, position=state.position, memory_lengths=state.lengths)
        return x, state._replace(kept=kept, position=state.position + 1)

    def weights(self, x: Array, memory: Memory, lengths: Array | None = None) -> Array:
        """The weights of attention to the memory in the last block, the mean over heads."""
        found = []

        def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            if context.method_name == "attend" and context.module.name == "cross":
                found.append(context.module.weights(*args, lengths=kwargs["lengths"]))
            return call(*args, **kwargs)

        with linen.intercept_methods(watch):
            self(x, memory, lengths)
        return jnp.mean(found[-1], axis=1)
