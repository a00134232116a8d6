"""Vectors and scores of large vocabularies whose words are in the order of their frequency."""

import math
from collections.abc import Sequence
from itertools import pairwise

import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl.analysis import Layer
from fjdl.functional import initializers
from fjdl.functional.embedding import adaptive_embedding, embedding_dropout
from fjdl.losses.adaptive import adaptive_log_probabilities, adaptive_softmax_loss
from fjdl.typing import Array


class Kernel(linen.Module):
    """A matrix of this shape, without what is done with it."""

    shape: tuple[int, int]
    deviation: float

    @linen.compact
    def __call__(self) -> Array:
        """The matrix."""
        return self.param("kernel", initializers.normal(self.deviation), self.shape)


class AdaptiveEmbedding(linen.Module):
    """`adaptive_embedding`, and with the same weights the nats of words, by `adaptive_softmax_loss`.

    Words before the first of the `cutoffs` have `features` numbers each; from each cutoff to the next, and at last to
    the end of the `vocabulary`, is a cluster, whose words have `features // factor`, `features // factor²` and so on.
    Entries are drawn with deviation `1 / √numbers`. The vectors have the `dtype`. In training whole words are dropped
    at `rate`, see `embedding_dropout`.

    `shares` are parts of all tokens, one for each cluster and such as (0.2, 0.1), that the cluster hardly ever exceeds:
    its scores are computed for that many tokens on a CPU, and for all where there are more, with the same result.
    """

    vocabulary: int
    features: int
    cutoffs: Sequence[int]
    factor: int = 4
    rate: float = 0.0
    shares: Sequence[float] | None = None
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        """The tables, the projections and a row for each cluster."""
        bounds = [*self.cutoffs, self.vocabulary]
        if not self.cutoffs or any(low >= high for low, high in pairwise([0, *bounds])):
            raise ValueError(
                f"cutoffs must rise from above 0 to below the vocabulary of {self.vocabulary}, got {self.cutoffs}"
            )
        if self.shares is not None and len(self.shares) != len(self.cutoffs):
            raise ValueError(f"shares must have one number for each of the cutoffs {self.cutoffs}, got {self.shares}")
        sizes = [high - low for low, high in pairwise([0, *bounds])]
        self.widths = [max(self.features // self.factor**number, 1) for number in range(len(sizes))]
        self.sizes = sizes
        self.tables = [
            self.param(f"embedding{number}", initializers.normal(width**-0.5), (size, width))
            for number, (size, width) in enumerate(zip(sizes, self.widths, strict=True))
        ]
        deviation = self.features**-0.5
        self.projections = [Kernel((width, self.features), deviation) for width in self.widths[1:]]
        self.clusters = Kernel((len(self.cutoffs), self.features), deviation)

    def __call__(self, ids: Array, *, train: bool = False) -> Array:
        """[...] ids to [..., features]."""
        tables = self.tables
        if train and self.rate:
            tables = [embedding_dropout(self.make_rng("dropout"), table, rate=self.rate) for table in tables]
        return adaptive_embedding(ids, tables[0], self._tails(tables), dtype=self.dtype)

    def nats(self, h: Array, labels: Array) -> Array:
        """[..., features] and [...] ids to the nats of the ids, [...] in float32."""
        capacities = None if self.shares is None else [math.ceil(share * labels.size) for share in self.shares]
        return adaptive_softmax_loss(h, labels, *self._weights(), capacities=capacities)

    def log_probabilities(self, h: Array) -> Array:
        """[..., features] to those of all words, [..., vocabulary] in float32."""
        return adaptive_log_probabilities(h, *self._weights())

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What looking up one example of `shape` costs, with all parameters."""
        widths = self.widths[1:]
        macs = math.prod(shape) * self.features * sum(widths)
        tables = sum(size * width for size, width in zip(self.sizes, self.widths, strict=True))
        parameters = tables + self.features * (sum(widths) + len(widths))
        return Layer(name="embedding", output=(*shape, self.features), parameters=parameters, macs=macs)

    def nats_cost(self, shape: tuple[int, ...]) -> Layer:
        """What the nats of one example of `shape` cost, clusters as often as their `shares` say."""
        return self._scores(shape, shape[:-1], self.shares or [1.0] * len(self.cutoffs))

    def log_probabilities_cost(self, shape: tuple[int, ...]) -> Layer:
        """What the probabilities of all words cost for one example of `shape`."""
        return self._scores(shape, (*shape[:-1], self.vocabulary), [1.0] * len(self.cutoffs))

    def _tails(self, tables: Sequence[Array]) -> tuple[tuple[Array, Array], ...]:
        return tuple(zip(tables[1:], (kernel() for kernel in self.projections), strict=True))

    def _weights(self) -> tuple[Array, Array, tuple[tuple[Array, Array], ...]]:
        """Those of `adaptive_softmax_loss`."""
        return self.tables[0], self.clusters(), self._tails(self.tables)

    def _scores(self, shape: tuple[int, ...], output: tuple[int, ...], shares: Sequence[float]) -> Layer:
        head = self.features * (self.sizes[0] + len(self.cutoffs))
        tails = [width * (self.features + size) for width, size in zip(self.widths[1:], self.sizes[1:], strict=True)]
        each = head + sum(share * macs for share, macs in zip(shares, tails, strict=True))
        return Layer(name="scores", output=output, parameters=0, macs=round(math.prod(shape[:-1]) * each))
