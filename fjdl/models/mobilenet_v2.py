"""MobileNet-v2 (Sandler et al. 2018, arXiv:1801.04381): inverted residuals with linear bottlenecks."""

import re
from collections.abc import Callable
from functools import partial

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import identity
from fjdl.functional.rectifiers import relu6
from fjdl.models.mobilenet import BLOCK, timm_block
from fjdl.nn.conv_norm import ConvNorm, Stage
from fjdl.nn.layers import Dense, Dropout
from fjdl.nn.pool import GlobalAveragePool
from fjdl.transfer.layout import Layout, Replacement
from fjdl.typing import Array

_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_DEPTHS = tuple(depth for _, _, depth, _ in _STAGES)


def divisible(channels: float, *, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, at least one of it, and the next one where that loses more than 10 %."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest


class InvertedResidual(linen.Module):
    """1 x 1 to `expansion` times the channels, 3 x 3 on each of these, 1 x 1 to `features` without an activation.

    The input is added where it has the shape of the output. An `expansion` of 1 leaves the first convolution out.
    """

    features: int
    stride: int = 1
    expansion: int = 6
    layer: Callable[..., linen.Module] = partial(ConvNorm, activation=relu6)

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h / stride, w / stride, features]."""
        y, wide = x, x.shape[-1] * self.expansion
        if self.expansion > 1:
            y = self.layer(wide, name="expand")(y, train=train)
        y = self.layer(wide, window=3, stride=self.stride, groups=wide, name="depthwise")(y, train=train)
        y = self.layer(self.features, activation=identity, name="project")(y, train=train)
        return x + y if x.shape == y.shape else y


class MobileNetV2(linen.Module):
    """3,504,872 parameters and 300,774,272 MACs with `alpha` 1 on images of 224 x 224 x 3.

    `alpha` multiplies all channels, rounded by `divisible`; those of the last convolution only where it is above 1.
    `stages` are rows of expansion, channels, blocks and the stride of the first block; `stem_stride=1` suits images of
    32 x 32. Kernels start as in the authors' code, normal with deviation 0.09, cut at two deviations, and dropout is
    theirs; the paper names neither these nor `momentum` and `epsilon`, which are PyTorch's. torchvision and timm start
    from other kernels and are the same otherwise; timm has no dropout.
    """

    classes: int = 1000
    alpha: float = 1.0
    stages: tuple[tuple[int, int, int, int], ...] = _STAGES
    stem_stride: int = 2
    dropout: float = 0.2
    momentum: float = 0.9
    epsilon: float = 1e-5

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        init = initializers.truncated_normal(0.09)
        batch_norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        layer = partial(ConvNorm, activation=relu6, kernel_init=init, **batch_norm)
        x = layer(divisible(32 * self.alpha), window=3, stride=self.stem_stride, name="stem")(x, train=train)
        for number, (expansion, channels, depth, stride) in enumerate(self.stages, start=1):
            block = partial(InvertedResidual, divisible(channels * self.alpha), expansion=expansion, layer=layer)
            blocks = tuple(partial(block, stride=1 if i else stride) for i in range(depth))
            x = Stage(blocks, name=f"stage{number}")(x, train=train)
        x = layer(divisible(1280 * max(1.0, self.alpha)), name="head")(x, train=train)
        x = Dropout(self.dropout)(GlobalAveragePool(name="pool")(x), train=train)
        return Dense(self.classes, kernel_init=init, name="logits")(x)


def _torchvision_block(name: str) -> Replacement:
    """torchvision counts the blocks of all stages in one row."""

    def key(match: re.Match[str]) -> str:
        return f"features.{1 + sum(_DEPTHS[: int(match[1]) - 1]) + int(match[2])}.conv.{name}"

    return key


FIRST = r"stage(1)/block(\d+)/"  # has no expansion, so its parts have other names

MOBILENET_V2_TORCHVISION = Layout((
    ("stem/conv", "features.0.0"),
    ("stem/norm", "features.0.1"),
    (FIRST + "depthwise/conv", _torchvision_block("0.0")),
    (FIRST + "depthwise/norm", _torchvision_block("0.1")),
    (FIRST + "project/conv", _torchvision_block("1")),
    (FIRST + "project/norm", _torchvision_block("2")),
    (BLOCK + "expand/conv", _torchvision_block("0.0")),
    (BLOCK + "expand/norm", _torchvision_block("0.1")),
    (BLOCK + "depthwise/conv", _torchvision_block("1.0")),
    (BLOCK + "depthwise/norm", _torchvision_block("1.1")),
    (BLOCK + "project/conv", _torchvision_block("2")),
    (BLOCK + "project/norm", _torchvision_block("3")),
    ("head/conv", "features.18.0"),
    ("head/norm", "features.18.1"),
    ("logits", "classifier.1"),
))  # fmt: skip

MOBILENET_V2_TIMM = Layout((
    ("stem/conv", "conv_stem"),
    ("stem/norm", "bn1"),
    (FIRST + "depthwise/conv", timm_block("conv_dw")),
    (FIRST + "depthwise/norm", timm_block("bn1")),
    (FIRST + "project/conv", timm_block("conv_pw")),
    (FIRST + "project/norm", timm_block("bn2")),
    (BLOCK + "expand/conv", timm_block("conv_pw")),
    (BLOCK + "expand/norm", timm_block("bn1")),
    (BLOCK + "depthwise/conv", timm_block("conv_dw")),
    (BLOCK + "depthwise/norm", timm_block("bn2")),
    (BLOCK + "project/conv", timm_block("conv_pwl")),
    (BLOCK + "project/norm", timm_block("bn3")),
    ("head/conv", "conv_head"),
    ("head/norm", "bn2"),
    ("logits", "classifier"),
))  # fmt: skip
