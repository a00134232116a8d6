"""Recurrent language models: the next token of a text from all that stand before it."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl.functional.dropout import spatial_dropout
from fjdl.losses.classification import softmax_cross_entropy
from fjdl.nn.adaptive import AdaptiveEmbedding
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

    Given targets beside the tokens, outputs are a dictionary of "nats" `[n, t]`, those of the targets, and no logits.
    With `regularized`, outputs in training are a dictionary of "logits" or "nats", "activations" and "states", for the
    penalties of `train.tasks.language_model`.

    With `cutoffs`, words are numbered by their frequency, and the table is an `nn.AdaptiveEmbedding` with these
    `cutoffs`, `factor` and `shares`: the cost of a large vocabulary falls to a tenth or less where targets are given.
    Logits are then logarithms of probabilities. Raises `ValueError` for `cutoffs` without `tied`.
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
    cutoffs: Sequence[int] = ()
    factor: int = 4
    shares: Sequence[float] | None = None
    dtype: DTypeLike = jnp.float32

    def sizes(self) -> list[int]:
        """The units of each layer."""
        last = self.features if self.tied else self.hidden
        return [*[self.hidden] * (self.layers - 1), last]

    def begin(self, examples: int) -> State:
        """The states before a text: zeros."""
        return tuple((jnp.zeros((examples, size)), jnp.zeros((examples, size))) for size in self.sizes())

    @linen.compact
    def __call__(self, inputs: tuple[Any, State], *, train: bool = False) -> tuple[Any, State]:
        """`((tokens [n, t], lengths [n]), states)` to logits `[n, t, vocabulary]` and the states after them.

        With `(tokens, lengths, targets [n, t])` in the first place to the nats of the targets instead of the logits.
        """
        (tokens, lengths, *targets), states = inputs
        embed = self._table()
        x = self._dropped(embed(tokens, train=train), self.input_dropout, train=train)
        after = []
        for number, (size, state) in enumerate(zip(self.sizes(), states, strict=True)):
            if number:
                x = self._dropped(x, self.hidden_dropout, train=train)
            layer = LSTM(features=size, recurrent_dropout=self.recurrent_dropout, name=f"layer{number}")
            x, (last,) = layer(x, lengths=lengths, initial=(state,), train=train)
            after.append(last)
        dropped = self._dropped(x, self.output_dropout, train=train)
        scored = self._scored(embed, dropped, *targets)
        if train and self.regularized:
            scored |= {"activations": dropped, "states": x}
        return (scored["logits"] if scored.keys() == {"logits"} else scored), tuple(after)

    def _table(self) -> Any:
        """Vectors of words, and with `tied` their scores."""
        options: Any = {"rate": self.word_dropout, "dtype": self.dtype, "name": "embedding"}
        if not self.cutoffs:
            return Embedding(self.vocabulary, self.features, **options)
        if not self.tied:
            raise ValueError("tied must be True where there are cutoffs, got False")
        return AdaptiveEmbedding(
            self.vocabulary, self.features, self.cutoffs, factor=self.factor, shares=self.shares, **options
        )

    def _scored(self, embed: Any, x: Array, *targets: Array) -> dict[str, Array]:
        """The nats of targets, or logits where there are none."""
        if self.cutoffs:
            return {"nats": embed.nats(x, *targets)} if targets else {"logits": embed.log_probabilities(x)}
        logits = embed.attend(x) if self.tied else Dense(self.vocabulary, name="logits")(x)
        return {"nats": softmax_cross_entropy(logits, *targets)} if targets else {"logits": logits}

    def _dropped(self, x: Array, rate: float, *, train: bool) -> Array:
        return spatial_dropout(self.make_rng("dropout"), x, rate=rate) if train and rate else x
