"""Attention with parameters of its own.

Sequences are `[n, t, features]`; `lengths` count the steps of each that are no padding, which reaches nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl.analysis import Layer
from fjdl.functional import initializers
from fjdl.functional.attention import dot_product_attention, dot_product_weights, dropout_attention
from fjdl.functional.attention_cache import KeyValues, cached_attention, write_step
from fjdl.lengths import length_mask
from fjdl.nn.layers import Dense
from fjdl.typing import Array

Initializer = initializers.Initializer
Rotation = Callable[..., Array]  # of queries or keys [n, t, h, d], and of positions [1, t]


def without_padding(x: Array, lengths: Array | None) -> Array:
    """The sequences with 0 after their lengths, so that what stands there reaches no gradient."""
    return x if lengths is None else jnp.where(length_mask(lengths, steps=x.shape[1])[..., None], x, 0)


class Products(linen.Module):
    """`dot_product_attention`, and in training `dropout_attention` at `rate`."""

    rate: float = 0.0

    @linen.compact
    def __call__(self, q: Array, k: Array, v: Array, *, train: bool = False, **options: Any) -> Array:
        """[n, t, h, d], [n, s, g, d] and [n, s, g, e] to [n, t, h, e], with the options of the functions."""
        if train and self.rate:
            return dropout_attention(self.make_rng("dropout"), q, k, v, rate=self.rate, **options)
        return dot_product_attention(q, k, v, **options)

    def cost(self, q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> Layer:
        """What scores and sums cost for one example of these shapes, masked ones included."""
        (t, h, d), (s, _, e) = q, v
        return Layer(name="products", output=(t, h, e), parameters=0, macs=t * h * s * (d + e))


class MultiHeadAttention(linen.Module):
    """`dot_product_attention` of several heads between dense layers: "query", "key", "value" and "out".

    Attends to `memory`, or to `x` itself where that is not given. Each of the `heads` has `features / heads` features,
    or `head_features`. `key_heads` fewer heads of keys and values serve groups of heads. `rotate`, such as
    `rotary_halves`, turns queries and keys by their positions. In training, weights are dropped at `rate`. Equals
    `torch.nn.MultiheadAttention(features, heads, batch_first=True)`, but for the initial values.
    """

    features: int
    heads: int
    key_heads: int | None = None
    head_features: int | None = None
    use_bias: bool = True
    rate: float = 0.0
    rotate: Rotation | None = None
    kernel_init: Initializer = initializers.glorot_uniform()

    def setup(self) -> None:
        """The dense layers."""
        if self.head_features is None and self.features % self.heads:
            raise ValueError(f"heads must divide the features, got {self.heads} and {self.features}")
        width = self.head_features or self.features // self.heads
        dense = partial(Dense, use_bias=self.use_bias, kernel_init=self.kernel_init)
        self.query = dense(self.heads * width)
        self.key = dense((self.key_heads or self.heads) * width)
        self.value = dense((self.key_heads or self.heads) * width)
        self.out, self.products = dense(self.features), Products(self.rate)

    def __call__(
        self,
        x: Array,
        memory: Array | None = None,
        *,
        train: bool = False,
        lengths: Array | None = None,
        mask: Array | None = None,
        bias: Array | None = None,
        causal: bool = False,
    ) -> Array:
        """[n, t, inputs] to [n, t, features]; mask, bias and lengths, those of what is attended to, as the function."""
        if memory is None:
            x = memory = without_padding(x, lengths)
        return self.attend(
            x, self.remember(memory, lengths=lengths), train=train, lengths=lengths, mask=mask, bias=bias, causal=causal
        )

    def remember(self, memory: Array, *, lengths: Array | None = None, first: int | Array = 0) -> KeyValues:
        """Keys and values of a memory [n, s, inputs], whose first step has the position `first`."""
        memory = without_padding(memory, lengths)
        return KeyValues(self._turned(_heads(self.key(memory), self._key_heads), first), self._values(memory))

    def attend(
        self,
        x: Array,
        remembered: KeyValues,
        *,
        train: bool = False,
        lengths: Array | None = None,
        mask: Array | None = None,
        bias: Array | None = None,
        causal: bool = False,
    ) -> Array:
        """What `__call__` gives with keys and values that `remember` made."""
        q = self._turned(_heads(self.query(x), self.heads), 0)
        options = {"mask": mask, "bias": bias, "lengths": lengths, "causal": causal}
        return self._joined(self.products(q, *remembered, train=train, **options))

    def weights(
        self, x: Array, remembered: KeyValues, *, lengths: Array | None = None, mask: Array | None = None
    ) -> Array:
        """The weights of each head that `attend` sums values with, [n, heads, t, s], for pictures."""
        q = self._turned(_heads(self.query(x), self.heads), 0)
        return dot_product_weights(q, remembered.k, mask, None, lengths)

    def decode(self, x: Array, cache: KeyValues, *, position: int | Array) -> tuple[Array, KeyValues]:
        """The causal result of steps [n, t, inputs] at `position` and after it, and the cache with them.

        `empty` makes the first cache. Step by step the results are those of `__call__(causal=True)`.
        """
        cache = write_step(cache, *self.remember(x, first=position), position=position)
        q = self._turned(_heads(self.query(x), self.heads), position)
        return self._joined(cached_attention(q, cache, position=position)), cache

    def empty(self, n: int, *, steps: int, dtype: DTypeLike = jnp.float32) -> KeyValues:
        """A cache for sequences of so many steps."""
        width = self.head_features or self.features // self.heads
        zeros = jnp.zeros((n, steps, self._key_heads, width), dtype)
        return KeyValues(zeros, zeros)

    @property
    def _key_heads(self) -> int:
        return self.key_heads or self.heads

    def _values(self, memory: Array) -> Array:
        return _heads(self.value(memory), self._key_heads)

    def _turned(self, x: Array, first: int | Array) -> Array:
        return x if self.rotate is None else self.rotate(x, (first + jnp.arange(x.shape[1]))[None])

    def _joined(self, out: Array) -> Array:
        return self.out(out.reshape(*out.shape[:2], -1))


def _heads(x: Array, heads: int) -> Array:
    return x.reshape(*x.shape[:2], heads, x.shape[2] // heads)
