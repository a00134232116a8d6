"""Blocks of transformers, and stacks of them; Vaswani et al. 2017, arXiv:1706.03762.

Sequences are `[n, t, features]`; `lengths` count the steps of each that are no padding, which reaches nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen

from fjdl.checks import at_least
from fjdl.functional.activations import relu
from fjdl.functional.attention_cache import KeyValues
from fjdl.nn.attention import MultiHeadAttention, Rotation, without_padding
from fjdl.nn.layers import Dense, Dropout
from fjdl.nn.norm import LayerNorm
from fjdl.typing import Array

Part = Callable[..., linen.Module]


class Remembered(NamedTuple):
    """What a decoder's block keeps between steps: its own keys and values, and those of the memory."""

    own: KeyValues
    memory: KeyValues | None


class Block(linen.Module):
    """What both kinds of blocks have."""

    features: int
    heads: int
    hidden: int
    rate: float = 0.1
    pre_norm: bool = False
    activation: Callable[[Array], Array] = relu
    norm: Part = LayerNorm
    key_heads: int | None = None
    rotate: Rotation | None = None
    use_bias: bool = True


class TransformerEncoderBlock(Block):
    """Self-attention and two dense layers, each added to its input and normalized after it, or before with `pre_norm`.

    `hidden` are the features between the dense layers. Dropout at `rate` follows attention, the activation and each
    part, and hits attention's weights. Equals `torch.nn.TransformerEncoderLayer(features, heads, hidden,
    norm_first=pre_norm)`, but for the initial values.
    """

    def setup(self) -> None:
        """The parts of the block."""
        self.attention = _attention(self)
        self.norm1, self.norm2 = self.norm(), self.norm()
        self.dense1, self.dense2 = Dense(self.hidden, self.use_bias), Dense(self.features, self.use_bias)
        self.dropout = Dropout(self.rate)

    def __call__(
        self,
        x: Array,
        *,
        train: bool = False,
        lengths: Array | None = None,
        mask: Array | None = None,
        causal: bool = False,
    ) -> Array:
        """[n, t, features] to the same shape."""
        options = {"lengths": lengths, "mask": mask, "causal": causal}
        x = without_padding(x, lengths)
        x = _added(self, self.norm1, x, lambda x: self.attention(x, train=train, **options), train=train)
        return _added(self, self.norm2, x, lambda x: _dense(self, x, train=train), train=train)


class TransformerDecoderBlock(Block):
    """Causal self-attention, attention to a memory and two dense layers, otherwise as `TransformerEncoderBlock`.

    Without a memory it has no attention to one, as in models of language alone. Equals
    `torch.nn.TransformerDecoderLayer` with a causal mask, but for the initial values.
    """

    def setup(self) -> None:
        """The parts of the block."""
        self.attention, self.cross = _attention(self), _attention(self, rotate=None)
        self.norm1, self.norm2, self.norm3 = self.norm(), self.norm(), self.norm()
        self.dense1, self.dense2 = Dense(self.hidden, self.use_bias), Dense(self.features, self.use_bias)
        self.dropout = Dropout(self.rate)

    def __call__(
        self,
        x: Array,
        memory: Array | None = None,
        *,
        train: bool = False,
        lengths: Array | None = None,
        memory_lengths: Array | None = None,
        mask: Array | None = None,
    ) -> Array:
        """[n, t, features], and a memory [n, s, any], to the shape of the first; `mask` is that of self-attention."""
        x = without_padding(x, lengths)
        options = {"lengths": lengths, "mask": mask, "causal": True}
        x = _added(self, self.norm1, x, lambda x: self.attention(x, train=train, **options), train=train)
        remembered = None if memory is None else self.cross.remember(memory, lengths=memory_lengths)
        return self._rest(x, remembered, memory_lengths, train=train)

    def decode(
        self, x: Array, kept: Remembered, *, position: int | Array, memory_lengths: Array | None = None
    ) -> tuple[Array, Remembered]:
        """The result of steps [n, t, features] at `position` and after it, and what is kept with them.

        `begin` makes what is kept first. Step by step the results are those of `__call__`.
        """
        own = [kept.own]

        def attention(x: Array) -> Array:
            out, own[0] = self.attention.decode(x, kept.own, position=position)
            return out

        x = _added(self, self.norm1, x, attention, train=False)
        return self._rest(x, kept.memory, memory_lengths, train=False), kept._replace(own=own[0])

    def begin(
        self,
        n: int,
        memory: Array | None = None,
        *,
        steps: int,
        memory_lengths: Array | None = None,
        dtype: Any = jnp.float32,
    ) -> Remembered:
        """What is kept before the first of so many steps: room for keys and values, and those of the memory."""
        empty = self.attention.empty(n, steps=steps, dtype=dtype)
        return Remembered(empty, None if memory is None else self.cross.remember(memory, lengths=memory_lengths))

    def _rest(self, x: Array, remembered: KeyValues | None, lengths: Array | None, *, train: bool) -> Array:
        if remembered is not None:
            cross = _added(
                self,
                self.norm2,
                x,
                lambda x: self.cross.attend(x, remembered, train=train, lengths=lengths),
                train=train,
            )
        else:
            cross = x
        return _added(self, self.norm3, cross, lambda x: _dense(self, x, train=train), train=train)


class TransformerEncoder(linen.Module):
    """Blocks one after the other, named block0, block1 and so on, and a norm of the result, which `pre_norm` needs.

    `block` makes one, such as `functools.partial(TransformerEncoderBlock, 64, 4, 256)`. Equals
    `torch.nn.TransformerEncoder`.
    """

    block: Part
    depth: int
    norm: Part | None = None

    def setup(self) -> None:
        """The blocks and the norm."""
        self.blocks, self.last = _stack(self)

    def __call__(self, x: Array, *, train: bool = False, **options: Any) -> Array:
        """[n, t, features] to the same shape, with the options of the blocks."""
        for block in self.blocks:
            x = block(x, train=train, **options)
        return x if self.last is None else self.last(x)


class TransformerDecoder(linen.Module):
    """`TransformerDecoderBlock`s, or what `block` makes with the same methods, as `TransformerEncoder` has its blocks.

    Equals `torch.nn.TransformerDecoder`.
    """

    block: Part
    depth: int
    norm: Part | None = None

    def setup(self) -> None:
        """The blocks and the norm."""
        self.blocks, self.last = _stack(self)

    def __call__(self, x: Array, memory: Array | None = None, *, train: bool = False, **options: Any) -> Array:
        """[n, t, features], and a memory, to the shape of the first, with the options of the blocks."""
        for block in self.blocks:
            x = block(x, memory, train=train, **options)
        return x if self.last is None else self.last(x)

    def decode(
        self, x: Array, kept: Sequence[Remembered], *, position: int | Array, memory_lengths: Array | None = None
    ) -> tuple[Array, tuple[Remembered, ...]]:
        """The result of steps [n, t, features] at `position` and after it, and what is kept with them."""
        new = []
        for block, own in zip(self.blocks, kept, strict=True):
            x, own = block.decode(x, own, position=position, memory_lengths=memory_lengths)
            new.append(own)
        return x if self.last is None else self.last(x), tuple(new)

    def begin(self, n: int, memory: Array | None = None, **options: Any) -> tuple[Remembered, ...]:
        """What the blocks keep before the first step, with the options of `TransformerDecoderBlock.begin`."""
        return tuple(block.begin(n, memory, **options) for block in self.blocks)


def _stack(stack: TransformerEncoder | TransformerDecoder) -> tuple[list[linen.Module], linen.Module | None]:
    at_least(1, depth=stack.depth)
    blocks = [stack.block(name=f"block{number}") for number in range(stack.depth)]
    return blocks, None if stack.norm is None else stack.norm(name="norm")


def _attention(block: Block, **options: Any) -> MultiHeadAttention:
    given = {"key_heads": block.key_heads, "rotate": block.rotate, "use_bias": block.use_bias, "rate": block.rate}
    return MultiHeadAttention(block.features, block.heads, **(given | options))


def _added(block: Block, norm: Any, x: Array, part: Callable[[Array], Array], *, train: bool) -> Array:
    """`x` and what a part of the block makes of it, normalized."""
    if block.pre_norm:
        return x + block.dropout(part(norm(x)), train=train)
    return norm(x + block.dropout(part(x), train=train))


def _dense(block: Block, x: Array, *, train: bool) -> Array:
    return block.dense2(block.dropout(block.activation(block.dense1(x)), train=train))
