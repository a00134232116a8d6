"""ConvNeXt (Liu et al. 2022, arXiv:2201.03545): a residual network with the proportions of a vision transformer."""

import re
from functools import partial

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.gates import gelu
from fjdl.models.mobilenet import BLOCK
from fjdl.models.variant import variant
from fjdl.nn.gating import LayerScale
from fjdl.nn.layers import Conv, Dense
from fjdl.nn.noise import StochasticDepth
from fjdl.nn.norm import LayerNorm
from fjdl.nn.pool import GlobalAveragePool
from fjdl.transfer.layout import Layout, Replacement
from fjdl.typing import Array

_INIT = initializers.normal(0.02)


class ConvNeXtBlock(linen.Module):
    """x + scale · project(gelu(expand(norm(7 x 7 convolution of each channel)))), four times as wide in the middle.

    `layer_scale` is the first value of the scale; in training `StochasticDepth` drops the branch.
    """

    layer_scale: float = 1e-6
    stochastic_depth: float = 0.0
    epsilon: float = 1e-6

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to the same shape."""
        channels = x.shape[-1]
        y = Conv(channels, 7, padding=3, groups=channels, kernel_init=_INIT, name="depthwise")(x)
        y = LayerNorm(epsilon=self.epsilon, name="norm")(y)
        y = gelu(Dense(4 * channels, kernel_init=_INIT, name="expand")(y))
        y = Dense(channels, kernel_init=_INIT, name="project")(y)
        y = LayerScale(self.layer_scale, name="scale")(y)
        return x + StochasticDepth(self.stochastic_depth)(y, train=train)


class ConvNeXtStage(linen.Module):
    """A block for each of the rates of stochastic depth; with `downsample`, first a norm and a 2 x 2 convolution."""

    features: int
    rates: tuple[float, ...]
    downsample: bool = True
    layer_scale: float = 1e-6
    epsilon: float = 1e-6

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h_out, w_out, features]: half the image, rounded down, with `downsample`."""
        if self.downsample:
            x = LayerNorm(epsilon=self.epsilon, name="norm")(x)
            x = Conv(self.features, 2, stride=2, padding=0, kernel_init=_INIT, name="downsample")(x)
        for number, rate in enumerate(self.rates):
            block = ConvNeXtBlock(self.layer_scale, rate, self.epsilon, name=f"block{number}")
            x = block(x, train=train)
        return x


class ConvNeXt(linen.Module):
    """As ConvNeXt-T 28,589,128 parameters and 4,455,531,264 MACs on images of 224 x 224 x 3.

    The stem cuts the image into patches of `patch` x `patch`; 2 or 1 suits images of 32 x 32. Block i of n is dropped
    with the probability `stochastic_depth` · i / (n - 1), i from 0. Kernels start normal with deviation 0.02 (the paper
    cuts them at ±2, a hundred deviations), biases at 0. The same in torchvision and timm.
    """

    classes: int = 1000
    depths: tuple[int, ...] = (3, 3, 9, 3)
    widths: tuple[int, ...] = (96, 192, 384, 768)
    patch: int = 4
    stochastic_depth: float = 0.1
    layer_scale: float = 1e-6
    epsilon: float = 1e-6

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        x = Conv(self.widths[0], self.patch, stride=self.patch, padding=0, kernel_init=_INIT, name="stem")(x)
        x = LayerNorm(epsilon=self.epsilon, name="stem_norm")(x)
        for number, (width, rates) in enumerate(zip(self.widths, self._rates(), strict=True), start=1):
            stage = partial(ConvNeXtStage, width, rates, layer_scale=self.layer_scale, epsilon=self.epsilon)
            x = stage(downsample=number > 1, name=f"stage{number}")(x, train=train)
        x = LayerNorm(epsilon=self.epsilon, name="norm")(GlobalAveragePool(name="pool")(x))
        return Dense(self.classes, kernel_init=_INIT, name="logits")(x)

    def _rates(self) -> list[tuple[float, ...]]:
        """The rates of stochastic depth of each stage."""
        total = sum(self.depths)
        rates = [self.stochastic_depth * i / max(1, total - 1) for i in range(total)]
        starts = [sum(self.depths[:stage]) for stage in range(len(self.depths))]
        return [tuple(rates[start : start + depth]) for start, depth in zip(starts, self.depths, strict=True)]


convnext_tiny = variant(ConvNeXt)
convnext_small = variant(ConvNeXt, depths=(3, 3, 27, 3), stochastic_depth=0.4)
convnext_base = variant(ConvNeXt, depths=(3, 3, 27, 3), widths=(128, 256, 512, 1024), stochastic_depth=0.5)
convnext_large = variant(ConvNeXt, depths=(3, 3, 27, 3), widths=(192, 384, 768, 1536), stochastic_depth=0.5)


def _torchvision(name: str, *, offset: int) -> Replacement:
    """In torchvision the blocks of stage s are part 2 s - 1 and what shrinks the image before them part 2 s - 2."""

    def key(match: re.Match[str]) -> str:
        return match.expand(rf"features.{2 * int(match[1]) - offset}.{name}")

    return key


def _timm(name: str) -> Replacement:
    def key(match: re.Match[str]) -> str:
        return match.expand(rf"stages.{int(match[1]) - 1}.{name}")

    return key


CONVNEXT_TORCHVISION = Layout(
    (
        ("stem", "features.0.0"),
        ("stem_norm", "features.0.1"),
        (r"stage(\d+)/norm", _torchvision("0", offset=2)),
        (r"stage(\d+)/downsample", _torchvision("1", offset=2)),
        (BLOCK + "depthwise", _torchvision(r"\2.block.0", offset=1)),
        (BLOCK + "norm", _torchvision(r"\2.block.2", offset=1)),
        (BLOCK + "expand", _torchvision(r"\2.block.3", offset=1)),
        (BLOCK + "project", _torchvision(r"\2.block.5", offset=1)),
        (BLOCK + "scale/gamma", _torchvision(r"\2.layer_scale", offset=1)),
        ("norm", "classifier.0"),
        ("logits", "classifier.2"),
    ),
    images=r".*/scale/gamma",
)

CONVNEXT_TIMM = Layout((
    ("stem", "stem.0"),
    ("stem_norm", "stem.1"),
    (r"stage(\d+)/norm", _timm("downsample.0")),
    (r"stage(\d+)/downsample", _timm("downsample.1")),
    (BLOCK + "depthwise", _timm(r"blocks.\2.conv_dw")),
    (BLOCK + "norm", _timm(r"blocks.\2.norm")),
    (BLOCK + "expand", _timm(r"blocks.\2.mlp.fc1")),
    (BLOCK + "project", _timm(r"blocks.\2.mlp.fc2")),
    (BLOCK + "scale/gamma", _timm(r"blocks.\2.gamma")),
    ("norm", "head.norm"),
    ("logits", "head.fc"),
))  # fmt: skip
