"""What an encoder hands to a decoder, and the encoders."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen

from fjdl.functional.pool.time import mean_over_time
from fjdl.nn.embedding import SinusoidalPositions
from fjdl.nn.layers import Dropout
from fjdl.nn.transformer import TransformerEncoder
from fjdl.typing import Array

Part = Callable[..., linen.Module]


class Memory(NamedTuple):
    """What a decoder may look at, and what it begins with."""

    values: Array  # [n, s, e]: a vector for each step of a text, or for each position of an image
    lengths: Array | None  # int [n]: how many of them count; None: all
    summary: Array  # [n, m]: all of it in one vector


class RecurrentEncoder(linen.Module):
    """Recurrent layers, as `layer` makes them, such as `partial(nn.GRU, features=256, bidirectional=True)`.

    The memory has the outputs of all steps; the summary is made of the last states of all cells side by side.
    """

    layer: Part

    def setup(self) -> None:
        """The layers."""
        self.recurrent = self.layer()

    def __call__(self, x: Array, lengths: Array | None, *, train: bool = False) -> Memory:
        """Vectors of words [n, s, d] to a memory."""
        outputs, last = self.recurrent(x, lengths=lengths, train=train)
        states = [state.astype(x.dtype) for state in jax.tree.leaves(last)]
        return Memory(outputs, lengths, jnp.concatenate(states, axis=-1))


class TransformerTextEncoder(linen.Module):
    """Positions and a `TransformerEncoder` of `depth` blocks; the summary is the mean over all steps that count."""

    block: Part
    depth: int
    norm: Part | None = None
    rate: float = 0.1
    positions: Part = SinusoidalPositions

    def setup(self) -> None:
        """The parts."""
        self.places, self.dropout = self.positions(), Dropout(self.rate)
        self.stack = TransformerEncoder(self.block, self.depth, self.norm)

    def __call__(self, x: Array, lengths: Array | None, *, train: bool = False) -> Memory:
        """Vectors of words [n, s, d] to a memory."""
        x = self.stack(self.dropout(self.places(x), train=train), lengths=lengths, train=train)
        return Memory(x, lengths, mean_over_time(x, lengths))


class ImageEncoder(linen.Module):
    """The features of a network for images, [n, h, w, c], as a memory of h · w positions.

    The summary is their mean (Xu et al. 2015, arXiv:1502.03044). A network that gives [n, c] has one position.
    """

    network: Part

    def setup(self) -> None:
        """The network."""
        self.features = self.network()

    def __call__(self, images: Array, *, train: bool = False) -> Memory:
        """[n, height, width, channels] to a memory."""
        found = self.features(images, train=train)
        values = found.reshape(found.shape[0], -1, found.shape[-1])
        return Memory(values, None, mean_over_time(values))
