"""LeNet-5 (LeCun et al. 1998): the textbooks' simplified form, and the network as published."""

import dataclasses
import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from flax import linen
from jax.typing import DTypeLike

from fjdl.analysis import Layer, conv_layer, pool_layer
from fjdl.functional import initializers
from fjdl.functional.activations import relu, tanh
from fjdl.functional.conv.conv2d import conv2d
from fjdl.functional.pool.fixed import average_pool2d
from fjdl.nn import AveragePool, Conv, Dense, Dropout, Flatten
from fjdl.numerics import widened
from fjdl.typing import Array, PRNGKey

Codes = tuple[tuple[int, ...], ...]  # one for each class, of ±1


class LeNet5(linen.Module):
    """Conv 6, pool, conv 16, pool, 120, 84, classes: 61,706 parameters on 28 x 28 grey images.

    The second convolution is a full one and pools average, unlike those of `LeNet5_1998`. `padding` is that
    of the two convolutions; (2, 2) suits images of 8 x 8.
    """

    classes: int = 10
    activation: Callable[[Array], Array] = relu
    pool: Callable[..., linen.Module] = AveragePool
    padding: tuple[int, int] = (2, 0)
    dropout: float = 0.0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        for name, features, padding in zip(("conv1", "conv2"), (6, 16), self.padding, strict=True):
            conv = Conv(features, window=5, padding=padding, kernel_init=initializers.he_normal(), name=name)
            x = self.pool(window=2, name=f"pool{name[-1]}")(self.activation(conv(x)))
        x = Flatten(name="flatten")(x)
        for name, width in (("dense1", 120), ("dense2", 84)):
            x = self.activation(Dense(width, kernel_init=initializers.he_normal(), name=name)(x))
            x = Dropout(self.dropout)(x, train=train)
        return Dense(self.classes, kernel_init=initializers.glorot_uniform(), name="logits")(x)


def scaled_tanh(x: Array) -> Array:
    """`1.7159 tanh(2 x / 3)`, which maps ±1 to ±1; LeCun et al. 1998."""
    return 1.7159 * tanh(x * (2 / 3))


_C3_TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip
_DIGITS = """
..###.. ...#... .#####. .#####. .....#. ####### ..####. ####### .#####. .#####.
.#...#. ..##... #.....# #.....# ....##. #...... .#..... ......# #.....# #.....#
#.....# .#.#... #.....# ......# ...#.#. #...... #...... ......# #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# ......# .#...#. #...... #...... .....#. #.....# #.....#
#.....# ...#... .....#. ..####. #....#. ######. ######. ....#.. .#####. .######
#.....# ...#... ....#.. ......# #....#. ......# #.....# ....#.. #.....# ......#
#.....# ...#... ...#... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# .....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... ......# .....#. ......# #.....# ..#.... #.....# ......#
.#...#. ...#... #...... #.....# .....#. #.....# #.....# ..#.... #.....# .....#.
..###.. .#####. ####### .#####. .....#. .#####. .#####. ..#.... .#####. .####..
"""

# The digits 0 to 9 drawn on 7 x 12 pixels, 1 for ink and -1 for paper.
DIGIT_CODES: Codes = tuple(
    tuple(1 if pixel == "#" else -1 for pixel in "".join(rows))
    for rows in zip(*(line.split() for line in _DIGITS.split("\n")[1:-1]), strict=True)
)


class LeNet5_1998(linen.Module):
    """LeNet-5 as it was published, for 32 x 32 grey images: exactly 60,000 trained parameters.

    C1 156, S2 12, C3 1,516, S4 32, C5 48,120 and F6 10,164; the output, minus the squared distance of F6's 84 units to
    each of the fixed `codes`, has none. Softmax cross-entropy of these logits is the paper's MAP criterion without its
    class of rubbish. The paper draws its codes as pictures too; those of `DIGIT_CODES` are ours. Without `codes` the
    output is a dense layer of `classes`: 60,850. LeCun, Bottou, Bengio & Haffner 1998, doi:10.1109/5.726791. Raises
    `ValueError` unless there are as many codes as classes.
    """

    classes: int = 10
    codes: Codes | None = DIGIT_CODES
    activation: Callable[[Array], Array] = scaled_tanh

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, 32, 32, channels] to [n, classes]."""
        del train
        if self.codes is not None and len(self.codes) != self.classes:
            raise ValueError(
                f"codes must be as many as classes, got {len(self.codes)} codes and {self.classes} classes"
            )
        squash = self.activation
        x = squash(Conv(6, window=5, padding="VALID", kernel_init=_by_fan_in, name="c1")(x))
        x = squash(Subsampling(name="s2")(x))
        x = squash(TableConv(_C3_TABLE, window=5, name="c3")(x))
        x = squash(Subsampling(name="s4")(x))
        x = squash(Conv(120, window=5, padding="VALID", kernel_init=_by_fan_in, name="c5")(x))
        x = squash(Dense(84, kernel_init=_by_fan_in, name="f6")(Flatten(name="flatten")(x)))
        if self.codes is not None:
            return RadialBasis(self.codes, name="logits")(x)
        return Dense(self.classes, kernel_init=_by_fan_in, name="logits")(x)


class TableConv(linen.Module):
    """A convolution without padding whose feature i reads only the channels `table[i]`; the kernel holds only those.

    The kernel is `[window, window, connections]`, the connections of feature 0 first. Raises `ValueError` for a channel
    that the input lacks.
    """

    table: tuple[tuple[int, ...], ...]
    window: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[n, h, w, channels] to [n, h - window + 1, w - window + 1, features]."""
        channels, features = x.shape[-1], len(self.table)
        sources = np.concatenate(self.table)
        if sources.max() >= channels:
            raise ValueError(f"table must name channels of the input, got {sources.max()} of {channels} channels")
        targets = np.repeat(np.arange(features), [len(row) for row in self.table])
        connections = self.param("kernel", self._draw, (self.window, self.window, len(sources)))
        bias = self.param("bias", initializers.zeros(), (features,))
        empty = jnp.zeros((self.window, self.window, channels, features), connections.dtype)
        kernel = empty.at[:, :, sources, targets].set(connections, unique_indices=True)
        return conv2d(x, kernel, bias, padding="VALID")

    def cost(self, shape: tuple[int, int, int]) -> Layer:
        """What the layer costs for one example of `shape`."""
        features, connections = len(self.table), sum(map(len, self.table))
        full = conv_layer(shape, features=features, kernel=self.window)
        weights = self.window**2 * connections
        return dataclasses.replace(full, parameters=weights + features, macs=math.prod(full.output[:2]) * weights)

    def _draw(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        bounds = [2.4 / (self.window**2 * len(row)) for row in self.table for _ in row]
        return initializers.uniform(-1.0, 1.0)(key, shape) * jnp.asarray(bounds, jnp.float32)[None, None]


class Subsampling(linen.Module):
    """The sum of each 2 x 2 window times a trained coefficient of its map, plus a trained bias."""

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[n, h, w, channels] to [n, h / 2, w / 2, channels]."""
        shape = (x.shape[-1],)
        coefficient = self.param("coefficient", initializers.uniform(-2.4 / 4, 2.4 / 4), shape)
        bias = self.param("bias", initializers.zeros(), shape)
        means = widened(average_pool2d(x, window=2))
        return (means * (4 * coefficient)[None, None, None] + bias[None, None, None]).astype(x.dtype)

    def cost(self, shape: tuple[int, int, int]) -> Layer:
        """What the layer costs for one example of `shape`: a pool, and one multiplication for each output."""
        pool = pool_layer(shape, window=2)
        return dataclasses.replace(pool, parameters=2 * shape[-1], macs=math.prod(pool.output))


class RadialBasis(linen.Module):
    """Minus the squared distance to each fixed code, -Σⱼ (xⱼ - codes[i][j])²: largest for the nearest."""

    codes: Codes

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[n, units] to [n, codes]."""
        units = widened(x)
        return -jnp.square(units[:, None] - jnp.asarray(self.codes, units.dtype)[None]).sum(axis=-1).astype(x.dtype)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`: a square for each unit and code."""
        return Layer(name="logits", output=(len(self.codes),), macs=len(self.codes) * shape[-1])


def _by_fan_in(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Uniform within ±2.4 / fan-in, as the paper draws."""
    bound = 2.4 / math.prod(shape[:-1])
    return initializers.uniform(-bound, bound)(key, shape, dtype)
