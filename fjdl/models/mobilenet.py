"""MobileNet (Howard et al. 2017, arXiv:1704.04861): depthwise separable convolutions, thinner by a factor."""

import re
from collections.abc import Callable
from functools import partial

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.nn.conv_norm import ConvNorm, Stage
from fjdl.nn.layers import Dense, Dropout
from fjdl.nn.pool import GlobalAveragePool
from fjdl.transfer.layout import Layout, Replacement
from fjdl.typing import Array

_STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))


class DepthwiseSeparable(linen.Module):
    """A 3 x 3 convolution of each channel, then a 1 x 1 convolution, each normalized and rectified.

    Costs `1 / features + 1 / 9` of the MACs of a full 3 x 3 convolution.
    """

    features: int
    stride: int = 1
    layer: Callable[..., linen.Module] = ConvNorm

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h / stride, w / stride, features]."""
        channels = x.shape[-1]
        x = self.layer(channels, window=3, stride=self.stride, groups=channels, name="depthwise")(x, train=train)
        return self.layer(self.features, name="pointwise")(x, train=train)


class MobileNet(linen.Module):
    """4,231,976 parameters and 568,740,352 MACs with `alpha` 1 on images of 224 x 224 x 3.

    `alpha` is the width multiplier: all channels times `alpha`, at least 8. The resolution multiplier ρ is the size of
    the images: 224, 192, 160 or 128. `stages` are rows of channels, blocks and the stride of the first block;
    `stem_stride=1` suits images of 32 x 32. Kernels start as in the authors' code, normal with deviation 0.09, cut at
    two deviations; the paper names neither these nor `momentum` and `epsilon`, which are PyTorch's, nor dropout. timm's
    `mobilenetv1_100` has `activation=relu6`.
    """

    classes: int = 1000
    alpha: float = 1.0
    stages: tuple[tuple[int, int, int], ...] = _STAGES
    stem_stride: int = 2
    activation: Callable[[Array], Array] = relu
    dropout: float = 0.0
    momentum: float = 0.9
    epsilon: float = 1e-5

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        init = initializers.truncated_normal(0.09)
        batch_norm = {"momentum": self.momentum, "epsilon": self.epsilon}
        layer = partial(ConvNorm, activation=self.activation, kernel_init=init, **batch_norm)
        x = layer(self._width(32), window=3, stride=self.stem_stride, name="stem")(x, train=train)
        for number, (channels, depth, stride) in enumerate(self.stages, start=1):
            block = partial(DepthwiseSeparable, self._width(channels), layer=layer)
            blocks = tuple(partial(block, stride=1 if i else stride) for i in range(depth))
            x = Stage(blocks, name=f"stage{number}")(x, train=train)
        x = Dropout(self.dropout)(GlobalAveragePool(name="pool")(x), train=train)
        return Dense(self.classes, kernel_init=init, name="logits")(x)

    def _width(self, channels: int) -> int:
        return max(8, int(channels * self.alpha))


def timm_block(name: str) -> Replacement:
    """The replacement that gives what timm calls `name` in a block; the groups are the numbers of stage and block."""

    def key(match: re.Match[str]) -> str:
        return f"blocks.{int(match[1]) - 1}.{match[2]}.{name}"

    return key


BLOCK = r"stage(\d+)/block(\d+)/"

MOBILENET_TIMM = Layout((
    ("stem/conv", "conv_stem"),
    ("stem/norm", "bn1"),
    (BLOCK + "depthwise/conv", timm_block("conv_dw")),
    (BLOCK + "depthwise/norm", timm_block("bn1")),
    (BLOCK + "pointwise/conv", timm_block("conv_pw")),
    (BLOCK + "pointwise/norm", timm_block("bn2")),
    ("logits", "classifier"),
))  # fmt: skip
