"""Classes of texts: pooled embeddings, windows of words, recurrent layers.

Inputs are `(tokens [n, t], lengths [n])`, ids and how many of each row count; lengths None counts all. Outputs are
logits `[n, classes]`. Padding changes no result.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.functional.embedding import word_dropout
from fjdl.functional.pool.time import max_over_time, mean_over_time
from fjdl.nn.attention import without_padding
from fjdl.nn.conv import Conv1D
from fjdl.nn.embedding import Embedding, SparseDense
from fjdl.nn.layers import Dense, Dropout
from fjdl.nn.recurrent import Recurrent
from fjdl.typing import Array

Text = tuple[Array, Array | None]
Pool = Callable[[Array, Array | None], Array]


class TextClassifier(linen.Module, kw_only=True):
    """What classifiers of texts share: the vectors of the words, and the logits of the features that a kind makes.

    In training each word becomes `unknown` at the rate `word_dropout`, entries of the vectors are dropped at
    `input_dropout`, and of the features before the logits at `dropout`. Vectors have the `dtype`.
    """

    vocabulary: int
    classes: int
    features: int = 100
    unknown: int = 0
    word_dropout: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.5
    dtype: DTypeLike = jnp.float32

    def represent(self, x: Array, lengths: Array | None, *, train: bool) -> Array:
        """The vectors [n, t, features], 0 at padding, to features of the text [n, h]."""
        raise NotImplementedError

    @linen.compact
    def __call__(self, text: Text, *, train: bool = False) -> Array:
        """`(tokens [n, t], lengths [n])` to logits [n, classes]."""
        tokens, lengths = text
        if train and self.word_dropout:
            tokens = word_dropout(self.make_rng("dropout"), tokens, rate=self.word_dropout, unknown=self.unknown)
        x = Embedding(self.vocabulary, self.features, dtype=self.dtype, name="embedding")(tokens)
        x = Dropout(self.input_dropout)(without_padding(x, lengths), train=train)
        h = Dropout(self.dropout)(self.represent(x, lengths, train=train), train=train)
        return Dense(self.classes, kernel_init=initializers.glorot_uniform(), name="logits")(h)


class BagOfFeatures(linen.Module):
    """Logits that are linear in the weights of a text's features: `bias + Σ weight · kernel[feature]`.

    Inputs are `(features [n, t], weights [n, t])`, ids in [0, size) and what each counts; one of weight 0 is padding.
    It starts at zero, where all classes are equally likely. With the penalty `l2` it is logistic regression on sparse
    inputs, as Wang & Manning 2012, ACL, have it for n-grams of words.
    """

    size: int
    classes: int

    @linen.compact
    def __call__(self, text: tuple[Array, Array], *, train: bool = False) -> Array:
        """`(features [n, t], weights [n, t])` to logits [n, classes]."""
        del train
        features, weights = text
        return SparseDense(self.size, self.classes, kernel_init=initializers.zeros(), name="logits")(features, weights)


class DeepAverage(TextClassifier):
    """The mean of the words' vectors, or what `pool` makes of them, and dense layers of the `hidden` widths.

    A deep averaging network (Iyyer et al. 2015, ACL); without hidden layers it is fastText's linear classifier (Joulin
    et al. 2017, arXiv:1607.01759).
    """

    hidden: tuple[int, ...] = ()
    pool: Pool = mean_over_time

    def represent(self, x: Array, lengths: Array | None, *, train: bool) -> Array:
        """The last hidden layer."""
        h = self.pool(x, lengths)
        for number, width in enumerate(self.hidden, start=1):
            h = Dropout(self.dropout)(h, train=train)
            h = relu(Dense(width, kernel_init=initializers.he_normal(), name=f"hidden{number}")(h))
        return h


class TextCNN(TextClassifier):
    """For each of the `windows`, `filters` convolutions of so many words, of each the largest value over time.

    Kim 2014, arXiv:1408.5882, without pretrained vectors. Windows reach beyond both ends of a text, where words are 0,
    so that each word stands at each place of a window.
    """

    windows: tuple[int, ...] = (3, 4, 5)
    filters: int = 100

    def represent(self, x: Array, lengths: Array | None, *, train: bool) -> Array:
        """The largest values of all filters."""
        del train
        found = []
        for window in self.windows:
            padding = ((window - 1, window - 1),)
            y = Conv1D(self.filters, window, padding=padding, name=f"window{window}")(x)
            found.append(relu(max_over_time(y, None if lengths is None else lengths + window - 1)))
        return jnp.concatenate(found, axis=-1)


class RecurrentClassifier(TextClassifier):
    """A recurrent `layer`, and what `pool` makes of its outputs; without a pool, the last ones of each direction."""

    layer: Recurrent
    pool: Pool | None = None

    def represent(self, x: Array, lengths: Array | None, *, train: bool) -> Array:
        """The pooled outputs, or the last ones."""
        outputs, states = self.layer(x, lengths=lengths, train=train)
        if self.pool is not None:
            return self.pool(outputs, lengths)
        last = states[-2:] if self.layer.bidirectional else states[-1:]
        return jnp.concatenate([jax.tree.leaves(state)[0] for state in last], axis=-1)
