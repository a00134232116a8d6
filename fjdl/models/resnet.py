"""ResNet (He et al. 2015, arXiv:1512.03385) and its form with pre-activation (2016, arXiv:1603.05027).

`resnet18`, `resnet50` and the like make the modules; further options are fields, and those of the blocks are bound:
`resnet50(block=partial(BottleneckBlock, last_norm=ZeroScaleBatchNorm))`. The networks named `_v1` have the stride on
the 1x1 convolutions, as in the paper, those without a suffix on the 3x3 ones, as in torchvision and timm, and those
named `_v2` have pre-activation.
"""

from functools import partial

from flax import linen

from fjdl.functional.activations import relu
from fjdl.models.residual import (
    BasicBlock,
    BottleneckBlock,
    Part,
    PreActivationBasicBlock,
    PreActivationBottleneckBlock,
    conv,
)
from fjdl.models.variant import variant
from fjdl.nn import BatchNorm, Dense, GlobalAveragePool, MaxPool
from fjdl.transfer.layout import Layout
from fjdl.typing import Array


class ImageNetStem(linen.Module):
    """A 7x7 convolution with stride 2, batch norm, ReLU and a 3x3 max pool with stride 2: a quarter of the size."""

    features: int = 64
    norm: Part = BatchNorm

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌈h / 4⌉, ⌈w / 4⌉, features]."""
        x = relu(self.norm(name="norm")(conv(self.features, 7, stride=2, name="conv")(x), train=train))
        return MaxPool(window=3, stride=2, padding=1, name="pool")(x)


class SmallStem(linen.Module):
    """A 3x3 convolution, batch norm and ReLU, for small images as those of CIFAR: the size stays.

    `pool` above 1 puts a max pool of so many pixels before the norm.
    """

    features: int = 16
    norm: Part = BatchNorm
    pool: int = 1

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌊h / pool⌋, ⌊w / pool⌋, features]."""
        x = conv(self.features, 3, name="conv")(x)
        x = MaxPool(self.pool, name="pool")(x) if self.pool > 1 else x
        return relu(self.norm(name="norm")(x, train=train))


class ResidualStage(linen.Module):
    """`blocks` blocks in a row of `features` each, the first with the stride.

    `activated` is for a first block with pre-activation whose input is activated already. `dilations` are those of the
    first block and of the others.
    """

    block: Part
    blocks: int
    features: int
    stride: int = 1
    norm: Part = BatchNorm
    activated: bool = False
    dilations: tuple[int, int] = (1, 1)

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌈h / stride⌉, ⌈w / stride⌉, channels_out]."""
        first = partial(self.block, activated=True) if self.activated else self.block
        for i in range(self.blocks):
            block, stride = (self.block, 1) if i else (first, self.stride)
            dilation = self.dilations[min(i, 1)]
            dilated = block if dilation == 1 else partial(block, dilation=dilation)
            x = dilated(self.features, stride=stride, norm=self.norm, name=f"block{i}")(x, train=train)
        return x


class ResNet(linen.Module):
    """Stem, stages of residual blocks, mean over the image, logits.

    `stages` are the numbers of blocks; each stage but the first halves the image and doubles the features, `width` in
    the first. Convolutions start as `he_normal`, where torchvision takes the fan out, and the logits' kernel as
    `lecun_normal`. The last `dilated` stages do not halve the image: their windows are dilated instead and so meet what
    they would have met, which makes the last features of `resnet50(dilated=2)` an eighth of the image in size and not a
    32nd (Chen et al. 2017, arXiv:1706.05587; `replace_stride_with_dilation` of torchvision). Raises `ValueError` for
    more of them than follow the first stage.
    """

    stages: tuple[int, ...]
    block: Part
    width: int = 64
    stem: Part = ImageNetStem
    norm: Part = BatchNorm
    classes: int = 1000
    dilated: int = 0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        return _classify(self, _trunk(self, x, train=train))


class PreActivationResNet(ResNet):
    """A `ResNet` of blocks with pre-activation: its stem activates for the first, and a last norm and ReLU follow."""

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        x = _trunk(self, x, activated=True, train=train)
        return _classify(self, relu(self.norm(name="norm")(x, train=train)))


def _trunk(network: ResNet, x: Array, *, activated: bool = False, train: bool) -> Array:
    x = network.stem(norm=network.norm, name="stem")(x, train=train)
    for i, (blocks, (stride, *dilations)) in enumerate(zip(network.stages, _strides(network), strict=True)):
        stage = ResidualStage(
            network.block,
            blocks,
            network.width * 2**i,
            stride=stride,
            norm=network.norm,
            activated=activated and i == 0,
            dilations=(dilations[0], dilations[1]),
            name=f"stage{i + 1}",
        )
        x = stage(x, train=train)
    return x


def _strides(network: ResNet) -> list[tuple[int, int, int]]:
    """Of each stage the stride, and the dilations of its first block and of the others."""
    halving = len(network.stages) - 1 - network.dilated
    if not 0 <= halving < len(network.stages):
        raise ValueError(f"dilated must lie in [0, {len(network.stages) - 1}], got {network.dilated}")
    wide = [(1, 2**i, 2 ** (i + 1)) for i in range(network.dilated)]
    return [(1, 1, 1), *[(2, 1, 1)] * halving, *wide]


def _classify(network: ResNet, x: Array) -> Array:
    return Dense(network.classes, name="logits")(GlobalAveragePool(name="pool")(x))


_STRIDE_FIRST = partial(BottleneckBlock, stride_first=True)

resnet18 = variant(ResNet, stages=(2, 2, 2, 2), block=BasicBlock)
resnet34 = variant(ResNet, stages=(3, 4, 6, 3), block=BasicBlock)
resnet50 = variant(ResNet, stages=(3, 4, 6, 3), block=BottleneckBlock)
resnet101 = variant(ResNet, stages=(3, 4, 23, 3), block=BottleneckBlock)
resnet152 = variant(ResNet, stages=(3, 8, 36, 3), block=BottleneckBlock)

resnet50_v1 = variant(ResNet, stages=(3, 4, 6, 3), block=_STRIDE_FIRST)
resnet101_v1 = variant(ResNet, stages=(3, 4, 23, 3), block=_STRIDE_FIRST)
resnet152_v1 = variant(ResNet, stages=(3, 8, 36, 3), block=_STRIDE_FIRST)

resnet18_v2 = variant(PreActivationResNet, stages=(2, 2, 2, 2), block=PreActivationBasicBlock)
resnet34_v2 = variant(PreActivationResNet, stages=(3, 4, 6, 3), block=PreActivationBasicBlock)
resnet50_v2 = variant(PreActivationResNet, stages=(3, 4, 6, 3), block=PreActivationBottleneckBlock)
resnet101_v2 = variant(PreActivationResNet, stages=(3, 4, 23, 3), block=PreActivationBottleneckBlock)
resnet152_v2 = variant(PreActivationResNet, stages=(3, 8, 36, 3), block=PreActivationBottleneckBlock)

# timm's networks of these names have the same keys
RESNET_TORCHVISION = Layout(
    (
        (r"stem/conv", r"conv1"),
        (r"stem/norm", r"bn1"),
        (r"stage(\d)/block(\d+)/conv(\d)", r"layer\1.\2.conv\3"),
        (r"stage(\d)/block(\d+)/norm(\d)", r"layer\1.\2.bn\3"),
        (r"stage(\d)/block(\d+)/shortcut/conv", r"layer\1.\2.downsample.0"),
        (r"stage(\d)/block(\d+)/shortcut/norm", r"layer\1.\2.downsample.1"),
        (r"logits", r"fc"),
    )
)
