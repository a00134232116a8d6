"""Tokens as vectors, and where they stand.

Tables are float32. A table is called "embedding" and not "kernel": `optim.KERNELS` leaves it without weight decay.
"""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl.analysis import Layer, dense_layer
from fjdl.checks import at_least
from fjdl.functional import initializers
from fjdl.functional.embedding import embedding, embedding_bag, embedding_dropout, tied_logits
from fjdl.functional.position import sinusoidal_positions
from fjdl.typing import Array, Number

Initializer = initializers.Initializer


class Embedding(linen.Module):
    """`embedding` with a table `[vocabulary, features]`; its `attend` gives scores of all words by the same table.

    Entries are drawn with deviation `1 / √features` unless `embedding_init` says otherwise. The vectors have the
    `dtype`, which no integer input can tell. In training whole rows are dropped at `rate`, see `embedding_dropout`.
    """

    vocabulary: int
    features: int
    rate: float = 0.0
    dtype: DTypeLike = jnp.float32
    embedding_init: Initializer | None = None

    def setup(self) -> None:
        """The table."""
        at_least(1, vocabulary=self.vocabulary, features=self.features)
        drawn = self.embedding_init or initializers.normal(self.features**-0.5)
        self.table = self.param("embedding", drawn, (self.vocabulary, self.features))

    def __call__(self, ids: Array, *, train: bool = False) -> Array:
        """[...] ids to [..., features]."""
        table = self.table
        if train and self.rate:
            table = embedding_dropout(self.make_rng("dropout"), table, rate=self.rate)
        return embedding(ids, table).astype(self.dtype)

    def attend(self, h: Array) -> Array:
        """[..., features] to the scores `[..., vocabulary]` of `tied_logits`."""
        return tied_logits(h, self.table)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What looking up one example of `shape` costs: no operation."""
        return Layer(name="embedding", output=(*shape, self.features), parameters=self.vocabulary * self.features)

    def attend_cost(self, shape: tuple[int, ...]) -> Layer:
        """What the scores of all words cost for one example of `shape`, with the parameters of the table."""
        return dense_layer(shape, features=self.vocabulary, bias=False, name="scores")


class SparseDense(linen.Module):
    """`Dense` of a sparse input of size `inputs`: a kernel `[inputs, features]` whose rows are read where it is not 0.

    The input is given by the places of its entries and their values; places that are given twice add up.
    """

    inputs: int
    features: int
    kernel_init: Initializer = initializers.lecun_normal()

    @linen.compact
    def __call__(self, places: Array, values: Array) -> Array:
        """Places [n, t] in [0, inputs) and values [n, t], 0 at padding, to [n, features] in the dtype of the values."""
        at_least(1, inputs=self.inputs, features=self.features)
        kernel = self.param("kernel", self.kernel_init, (self.inputs, self.features))
        bias = self.param("bias", initializers.zeros(), (self.features,))
        return (embedding_bag(places, values, kernel) + bias[None]).astype(values.dtype)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`: a product of each place that is given."""
        output, parameters = (*shape[:-1], self.features), self.features * (self.inputs + 1)
        return Layer(name="sparse", output=output, parameters=parameters, macs=math.prod(shape) * self.features)


class LearnedPositions(linen.Module):
    """Adds the row of a table `[steps, features]` to the vector at each step (Gehring et al. 2017)."""

    steps: int
    embedding_init: Initializer = initializers.normal(0.02)

    @linen.compact
    def __call__(self, x: Array, *, first: int | Array = 0) -> Array:
        """[n, t, features] to the same shape; `first` is the position of the first step. A position beyond is NaN."""
        table = self.param("embedding", self.embedding_init, (self.steps, x.shape[-1]))
        return x + embedding(_numbers(x, first), table).astype(x.dtype)[None]

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`: no multiplication."""
        return Layer(name="positions", output=shape, parameters=self.steps * shape[-1])


class SinusoidalPositions(linen.Module):
    """Adds `sinusoidal_positions` to the vectors, which have no parameters."""

    base: Number = 10000.0

    def __call__(self, x: Array, *, first: int | Array = 0) -> Array:
        """[n, t, features] to the same shape; `first` is the position of the first step."""
        waves: Any = sinusoidal_positions(_numbers(x, first), features=x.shape[-1], base=self.base)
        return x + waves.astype(x.dtype)[None]


def _numbers(x: Array, first: int | Array) -> Array:
    return first + jnp.arange(x.shape[1])
