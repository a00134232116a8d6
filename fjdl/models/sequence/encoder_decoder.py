"""One sequence from another, or from an image: an encoder, and a decoder that looks at what it has made."""

from typing import Any

import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl.models.sequence.memory import Memory, Part
from fjdl.nn.attention import without_padding
from fjdl.nn.embedding import Embedding
from fjdl.nn.layers import Dense, Dropout
from fjdl.typing import Array

Words = tuple[Array, Array | None]  # tokens int [n, t], and how many of each row count


class EncoderDecoder(linen.Module, kw_only=True):
    """A table of vectors of words for each language, an encoder, a decoder, and scores of the next word.

    The encoder is one of `RecurrentEncoder`, `TransformerTextEncoder` and, for captions, `ImageEncoder`; the decoder is
    one of `RecurrentDecoder`, `BahdanauDecoder` and `TransformerTextDecoder`. `vocabulary` is that of the target. The
    source has a table of its own of `source_vocabulary` words, or shares that of the target where this is None; an
    `image` has none. With `tied`, scores are products with the target's table, so the decoder's outputs must have
    `features`. Vectors are multiplied by `scale`, √features in Vaswani et al. 2017, and dropped at `rate` in training.

    What is fed in training is the target, whatever the model would have said. `begin` and `step` go on with what the
    model says itself and give the same scores for the same words; `nn.method` makes pure functions of both.
    """

    vocabulary: int
    features: int
    encoder: Part
    decoder: Part
    source_vocabulary: int | None = None
    image: bool = False
    tied: bool = False
    scale: float = 1.0
    rate: float = 0.0
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        """The parts."""
        self.target = Embedding(self.vocabulary, self.features, dtype=self.dtype)
        if self.source_vocabulary is not None:
            self.source = Embedding(self.source_vocabulary, self.features, dtype=self.dtype)
        if not self.tied:
            self.logits = Dense(self.vocabulary)
        self.encode, self.decode = self.encoder(), self.decoder()
        self.dropout = Dropout(self.rate)

    def __call__(self, inputs: tuple[Any, Words], *, train: bool = False) -> Array:
        """The source, `(tokens [n, s], lengths [n])` or images, and the target, `(tokens [n, t], lengths [n])`.

        Returns scores [n, t - 1, vocabulary] of the second word of the target, the third and so on, each made of the
        source and the words before it. Lengths count `<bos>` and `<eos>`; None counts all.
        """
        return self._scores(self.decode(*self._fed(inputs, train=train), train=train))

    def weights(self, inputs: tuple[Any, Words]) -> Array:
        """For what `__call__` takes, how much each word of the target looked at each part of the source, [n, t - 1, s].

        The weights of a word sum to 1. They belong to the step whose scores they lead to.
        """
        return self.decode.weights(*self._fed(inputs, train=False))

    def begin(self, source: Any, *, steps: int) -> Any:
        """The state before the first of so many steps of the target: the source encoded, and what the decoder keeps."""
        return self.decode.begin(self._memory(source, train=False), steps=steps)

    def step(self, state: Any, tokens: Array) -> tuple[Array, Any]:
        """The scores [n, vocabulary] of the word behind `tokens` int [n], and the state with these; see `decoding`."""
        outputs, state = self.decode.step(self._vectors(self.target, (tokens[:, None], None), train=False), state)
        return self._scores(outputs)[:, 0], state

    def _fed(self, inputs: tuple[Any, Words], *, train: bool) -> tuple[Array, Memory, Array | None]:
        source, (tokens, lengths) = inputs
        fed = tokens[:, :-1], None if lengths is None else jnp.maximum(lengths - 1, 0)
        return self._vectors(self.target, fed, train=train), self._memory(source, train=train), fed[1]

    def _memory(self, source: Any, *, train: bool) -> Memory:
        if self.image:
            return self.encode(source, train=train)
        table = self.target if self.source_vocabulary is None else self.source
        return self.encode(self._vectors(table, source, train=train), source[1], train=train)

    def _vectors(self, table: Embedding, words: Words, *, train: bool) -> Array:
        return self.dropout(without_padding(table(words[0]), words[1]) * self.scale, train=train)

    def _scores(self, outputs: Array) -> Array:
        return self.target.attend(outputs) if self.tied else self.logits(outputs)
