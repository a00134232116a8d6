"""EfficientNet (Tan & Le 2019, arXiv:1905.11946): squeezed inverted residuals, wider and deeper by two factors."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import identity
from fjdl.functional.gates import silu
from fjdl.models.mobilenet import BLOCK, timm_block
from fjdl.models.mobilenet_v2 import FIRST, MOBILENET_V2_TIMM, divisible
from fjdl.models.variant import variant
from fjdl.nn.conv_norm import ConvNorm, Stage
from fjdl.nn.gating import SqueezeExcitation
from fjdl.nn.layers import Dense, Dropout
from fjdl.nn.noise import StochasticDepth
from fjdl.nn.pool import GlobalAveragePool
from fjdl.transfer.layout import Layout
from fjdl.typing import Array


class EfficientNetStage(NamedTuple):
    """One stage of the baseline network; `stride` is that of its first block."""

    expansion: int
    window: int
    stride: int
    channels: int
    depth: int


_STAGES = (
    EfficientNetStage(1, 3, 1, 16, 1),
    EfficientNetStage(6, 3, 2, 24, 2),
    EfficientNetStage(6, 5, 2, 40, 2),
    EfficientNetStage(6, 3, 2, 80, 3),
    EfficientNetStage(6, 5, 1, 112, 3),
    EfficientNetStage(6, 5, 2, 192, 4),
    EfficientNetStage(6, 3, 1, 320, 1),
)


def _he_backward(groups: int = 1) -> initializers.Initializer:
    return initializers.variance_scaling(2.0, mode="fan_out", groups=groups)


class MBConv(linen.Module):
    """An inverted residual with squeeze-and-excitation to a quarter of the channels of its input.

    1 x 1 to `expansion` times the channels, `window` x `window` on each of these, the gate of `SqueezeExcitation`, then
    1 x 1 to `features` without an activation. Where input and output have one shape, the input is added, in training
    to a branch that `StochasticDepth` drops. An `expansion` of 1 leaves the first convolution out.
    """

    features: int
    window: int = 3
    stride: int = 1
    expansion: int = 6
    stochastic_depth: float = 0.0
    layer: Callable[..., linen.Module] = partial(ConvNorm, activation=silu, kernel_init=_he_backward())

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h / stride, w / stride, features]."""
        y, wide = x, x.shape[-1] * self.expansion
        depthwise = partial(self.layer, window=self.window, groups=wide, kernel_init=_he_backward(groups=wide))
        if self.expansion > 1:
            y = self.layer(wide, name="expand")(y, train=train)
        y = depthwise(wide, stride=self.stride, name="depthwise")(y, train=train)
        squeezed = max(1, x.shape[-1] // 4)
        y = SqueezeExcitation(squeezed, activation=silu, kernel_init=_he_backward(), name="excitation")(y)
        y = self.layer(self.features, activation=identity, name="project")(y, train=train)
        if x.shape != y.shape:
            return y
        return x + StochasticDepth(self.stochastic_depth)(y, train=train)


class EfficientNet(linen.Module):
    """The baseline with `width` times the channels, rounded by `divisible`, and `depth` times the blocks, rounded up.

    As B0 5,288,548 parameters and 385,814,752 MACs on images of 224 x 224 x 3. Block i of n is dropped with the
    probability `stochastic_depth` · i / n, i from 0. Kernels start normal with variance 2 / fan_out, those of the last
    layer uniform within ±1 / √classes, and `epsilon` is 1e-3, as in the authors' code; `momentum` is the paper's. The
    weights of torchvision up to B4 and those of timm's `efficientnet_b0` to `b4` want `epsilon=1e-5`.
    """

    classes: int = 1000
    width: float = 1.0
    depth: float = 1.0
    dropout: float = 0.2
    stages: tuple[EfficientNetStage, ...] = _STAGES
    stem_stride: int = 2
    stochastic_depth: float = 0.2
    momentum: float = 0.99
    epsilon: float = 1e-3

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        batch_norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        layer = partial(ConvNorm, activation=silu, kernel_init=_he_backward(), **batch_norm)
        x = layer(divisible(32 * self.width), window=3, stride=self.stem_stride, name="stem")(x, train=train)
        for number, blocks in enumerate(self._blocks(layer), start=1):
            x = Stage(blocks, name=f"stage{number}")(x, train=train)
        x = layer(divisible(1280 * self.width), name="head")(x, train=train)
        x = Dropout(self.dropout)(GlobalAveragePool(name="pool")(x), train=train)
        bound = 1 / math.sqrt(self.classes)
        return Dense(self.classes, kernel_init=initializers.uniform(-bound, bound), name="logits")(x)

    def _blocks(self, layer: Callable[..., linen.Module]) -> list[tuple[Callable[..., linen.Module], ...]]:
        """The blocks of each stage."""
        depths = [math.ceil(row.depth * self.depth) for row in self.stages]
        stages, before, total = [], 0, sum(depths)
        for row, depth in zip(self.stages, depths, strict=True):
            features = divisible(row.channels * self.width)
            block = partial(MBConv, features, window=row.window, expansion=row.expansion, layer=layer)
            rates = [self.stochastic_depth * (before + i) / total for i in range(depth)]
            strides = [row.stride] + [1] * (depth - 1)
            pairs = zip(strides, rates, strict=True)
            stages.append(tuple(partial(block, stride=stride, stochastic_depth=rate) for stride, rate in pairs))
            before += depth
        return stages


efficientnet_b0 = variant(EfficientNet)
efficientnet_b1 = variant(EfficientNet, depth=1.1)
efficientnet_b2 = variant(EfficientNet, width=1.1, depth=1.2, dropout=0.3)
efficientnet_b3 = variant(EfficientNet, width=1.2, depth=1.4, dropout=0.3)
efficientnet_b4 = variant(EfficientNet, width=1.4, depth=1.8, dropout=0.4)
efficientnet_b5 = variant(EfficientNet, width=1.6, depth=2.2, dropout=0.4)
efficientnet_b6 = variant(EfficientNet, width=1.8, depth=2.6, dropout=0.5)
efficientnet_b7 = variant(EfficientNet, width=2.0, depth=3.1, dropout=0.5)


_NAMES = {"conv": "0", "norm": "1"}

EFFICIENTNET_TORCHVISION = Layout((
    ("stem/conv", "features.0.0"),
    ("stem/norm", "features.0.1"),
    (FIRST + "depthwise/(conv|norm)", lambda match: f"features.1.{match[2]}.block.0.{_NAMES[match[3]]}"),
    (FIRST + "excitation/reduce", r"features.1.\2.block.1.fc1"),
    (FIRST + "excitation/expand", r"features.1.\2.block.1.fc2"),
    (FIRST + "project/(conv|norm)", lambda match: f"features.1.{match[2]}.block.2.{_NAMES[match[3]]}"),
    (BLOCK + "expand/(conv|norm)", lambda match: f"features.{match[1]}.{match[2]}.block.0.{_NAMES[match[3]]}"),
    (BLOCK + "depthwise/(conv|norm)", lambda match: f"features.{match[1]}.{match[2]}.block.1.{_NAMES[match[3]]}"),
    (BLOCK + "excitation/reduce", r"features.\1.\2.block.2.fc1"),
    (BLOCK + "excitation/expand", r"features.\1.\2.block.2.fc2"),
    (BLOCK + "project/(conv|norm)", lambda match: f"features.{match[1]}.{match[2]}.block.3.{_NAMES[match[3]]}"),
    ("head/conv", "features.8.0"),
    ("head/norm", "features.8.1"),
    ("logits", "classifier.1"),
))  # fmt: skip

EFFICIENTNET_TIMM = Layout((
    *MOBILENET_V2_TIMM.renames,
    (BLOCK + "excitation/reduce", timm_block("se.conv_reduce")),
    (BLOCK + "excitation/expand", timm_block("se.conv_expand")),
))  # fmt: skip
