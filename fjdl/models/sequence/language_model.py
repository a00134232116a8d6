"""Recurrent language models: the next token of a text from all that stand before it."""

from typing import Any

import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl.functional.dropout import spatial_dropout
from fjdl.nn.embedding import Embedding
from fjdl.nn.layers import Dense
from fjdl.nn.recurrent import LSTM
from fjdl.typing import Array

State = tuple[tuple[Array, Array], ...]


class LSTMLanguageModel(linen.Module, kw_only=True):
    """Embedding, LSTM layers, scores of the next token.

    `hidden` units in each layer; with `tied`, the last has `features` and scores are products with the embedding's
    table (Press & Wolf 2017, arXiv:1608.05859; Inan et al. 2017, arXiv:1611.01462). In training whole words are dropped
    from the table at the rate `word_dropout`, whole features of the embedding at `input_dropout`, of the outputs
    between layers at `hidden_dropout`, of the last at `output_dropout`, entries of the recurrent kernels at
    `recurrent_dropout`: those of AWD-LSTM (Merity et al. 2018, arXiv:1708.02182).

    With `regularized`, outputs in training are a dictionary of "logits", "activations" and "states", for the penalties
    of `train.tasks.language_model`.
    """

    vocabulary: int
    features: int = 512
    hidden: int = 512
    layers: int = 2
    tied: bool = True
    word_dropout: float = 0.0
    input_dropout: float = 0.0
    hidden_dropout: float = 0.0
    output_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    regularized: bool = False
    dtype: DTypeLike = jnp.float32

    def sizes(self) -> list[int]:
        """The units of each layer."""
        last = self.features if self.tied else self.hidden
        return [*[self.hidden] * (self.layers - 1), last]

    def begin(self, examples: int) -> State:
        """The states before a text: zeros."""
        return tuple((jnp.zeros((examples, size)), jnp.zeros((examples, size))) for size in self.sizes())

    @linen.compact
    def __call__(self, inputs: tuple[tuple[Array, Array | None], State], *, train: bool = False) -> tuple[Any, State]:
        """`((tokens [n, t], lengths [n]), states)` to logits `[n, t, vocabulary]` and the states after them."""
        (tokens, lengths), states = inputs
        embed = Embedding(self.vocabulary, self.features, rate=self.word_dropout, dtype=self.dtype, name="embedding")
        x = self._dropped(embed(tokens, train=train), self.input_dropout, train=train)
        after = []
        for number, (size, state) in enumerate(zip(self.sizes(), states, strict=True)):
            if number:
                x = self._dropped(x, self.hidden_dropout, train=train)
            layer = LSTM(features=size, recurrent_dropout=self.recurrent_dropout, name=f"layer{number}")
            x, (last,) = layer(x, lengths=lengths, initial=(state,), train=train)
            after.append(last)
        dropped = self._dropped(x, self.output_dropout, train=train)
        logits = embed.attend(dropped) if self.tied else Dense(self.vocabulary, name="logits")(dropped)
        if train and self.regularized:
            return {"logits": logits, "activations": dropped, "states": x}, tuple(after)
        return logits, tuple(after)

    def _dropped(self, x: Array, rate: float, *, train: bool) -> Array:
        return spatial_dropout(self.make_rng("dropout"), x, rate=rate) if train and rate else x
