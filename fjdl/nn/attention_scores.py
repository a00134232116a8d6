"""Attention with one head and learned scores: additive, and multiplicative in three forms.

All take queries `[n, t, d]` and a memory `[n, s, e]` at once, or make keys of the memory with `remember` and attend to
these as often as there are queries, as a decoder does step by step.
"""

from typing import NamedTuple

from flax import linen

from fjdl.analysis import Layer
from fjdl.functional import initializers
from fjdl.functional.attention_scores import attention_weights, dot_attention, dot_scores, tanh_attention, tanh_scores
from fjdl.nn.attention import without_padding
from fjdl.nn.layers import Dense
from fjdl.typing import Array

Initializer = initializers.Initializer


class Keys(NamedTuple):
    """A memory with the keys that were made of it."""

    k: Array  # [n, s, a]
    values: Array  # [n, s, e]


class Scores(linen.Module):
    """Scores of queries [n, t, a] and keys [n, s, a], which make a context of values [n, s, e]."""

    def __call__(self, q: Array, k: Array, values: Array, *, lengths: Array | None, mask: Array | None) -> Array:
        """The contexts [n, t, e]."""
        raise NotImplementedError

    def weights(self, q: Array, k: Array, *, lengths: Array | None, mask: Array | None) -> Array:
        """The weights [n, t, s] of the values."""
        raise NotImplementedError

    def cost(self, queries: tuple[int, ...], keys: tuple[int, ...], values: tuple[int, ...]) -> Layer:
        """What scores and contexts cost for one example of these shapes."""
        (t, a), (s, e) = queries, values
        return Layer(name="scores", output=(t, e), parameters=self.parameters(), macs=t * s * (a + e))

    def parameters(self) -> int:
        """How many numbers are learned."""
        return 0


class DotScores(Scores):
    """`dot_attention`."""

    def __call__(self, q: Array, k: Array, values: Array, *, lengths: Array | None, mask: Array | None) -> Array:
        """The contexts [n, t, e]."""
        return dot_attention(q, k, values, mask, lengths)

    def weights(self, q: Array, k: Array, *, lengths: Array | None, mask: Array | None) -> Array:
        """The weights [n, t, s] of the values."""
        return attention_weights(dot_scores(q, k.astype(q.dtype)), mask, lengths)


class TanhScores(Scores):
    """`tanh_attention` of so many `units`."""

    units: int

    def setup(self) -> None:
        """What makes a score of the units."""
        self.kernel = self.param("kernel", initializers.normal(self.units**-0.5), (self.units,))

    def __call__(self, q: Array, k: Array, values: Array, *, lengths: Array | None, mask: Array | None) -> Array:
        """The contexts [n, t, e]."""
        return tanh_attention(q, k, values, self.kernel, mask, lengths)

    def weights(self, q: Array, k: Array, *, lengths: Array | None, mask: Array | None) -> Array:
        """The weights [n, t, s] of the values."""
        return attention_weights(tanh_scores(q, k, self.kernel), mask, lengths)

    def parameters(self) -> int:
        """How many numbers are learned."""
        return self.units


class ScoredAttention(linen.Module):
    """What they share; a kind of attention makes queries and keys, and has `products` of both."""

    def __call__(
        self, x: Array, memory: Array | None = None, *, lengths: Array | None = None, mask: Array | None = None
    ) -> Array:
        """[n, t, d] to contexts [n, t, e], sums over the steps of the memory [n, s, e], or of `x` without one."""
        remembered = self.remember(x if memory is None else memory, lengths=lengths)
        return self.attend(x, remembered, lengths=lengths, mask=mask)

    def remember(self, memory: Array, *, lengths: Array | None = None) -> Keys:
        """The memory, 0 after its lengths, and its keys."""
        memory = without_padding(memory, lengths)
        return Keys(self.keys(memory), memory)

    def attend(self, x: Array, remembered: Keys, *, lengths: Array | None = None, mask: Array | None = None) -> Array:
        """What `__call__` gives with keys that `remember` made."""
        return self.products(self.queries(x), remembered.k, remembered.values, lengths=lengths, mask=mask)

    def weights(self, x: Array, remembered: Keys, *, lengths: Array | None = None, mask: Array | None = None) -> Array:
        """The weights that `attend` sums values with, [n, t, s], for pictures."""
        return self.products.weights(self.queries(x), remembered.k, lengths=lengths, mask=mask)

    def queries(self, x: Array) -> Array:
        """What meets the keys."""
        return x

    def keys(self, memory: Array) -> Array:
        """The keys of a memory."""
        return memory


class AdditiveAttention(ScoredAttention):
    """`additive_attention` of queries to a memory with a hidden layer of so many `units` (Bahdanau et al. 2015)."""

    units: int
    kernel_init: Initializer = initializers.glorot_uniform()

    def setup(self) -> None:
        """The kernels of both, and what makes a score of the hidden layer."""
        self.query = Dense(self.units, use_bias=False, kernel_init=self.kernel_init)
        self.key = Dense(self.units, use_bias=False, kernel_init=self.kernel_init)
        self.products = TanhScores(self.units, name="score")

    def queries(self, x: Array) -> Array:
        """The part of the hidden layer that is the queries'."""
        return self.query(x)

    def keys(self, memory: Array) -> Array:
        """The part of the hidden layer that is the memory's."""
        return self.key(memory)


class DotAttention(ScoredAttention):
    """`dot_attention` of queries to a memory of as many features: "dot" of Luong et al. 2015, without parameters."""

    def setup(self) -> None:
        """The scores."""
        self.products = DotScores()


class LuongAttention(ScoredAttention):
    """`general_attention` of queries with so many `features` to a memory: "general" of Luong et al. 2015."""

    features: int
    kernel_init: Initializer = initializers.glorot_uniform()

    def setup(self) -> None:
        """The kernel and the scores."""
        self.score = Dense(self.features, use_bias=False, kernel_init=self.kernel_init)
        self.products = DotScores()

    def keys(self, memory: Array) -> Array:
        """The memory times the kernel."""
        return self.score(memory)
