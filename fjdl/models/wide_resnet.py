"""Wide residual networks (Zagoruyko & Komodakis 2016, arXiv:1605.07146): few layers of many features."""

from functools import partial

from fjdl.models.residual import Part, PreActivationBasicBlock
from fjdl.models.resnet import PreActivationResNet, SmallStem
from fjdl.models.variant import variant
from fjdl.nn import BatchNorm
from fjdl.transfer.layout import Layout


def wide_resnet(
    depth: int, widening: int, *, dropout: float = 0.0, norm: Part = BatchNorm, classes: int = 10
) -> PreActivationResNet:
    """WRN-`depth`-`widening`: three stages of (depth − 4) / 6 blocks with 16, 32 and 64 times `widening` features.

    `dropout` acts between the two convolutions of a block, 0.3 in the paper where it has any. Raises `ValueError` for
    a depth that is not 6n + 4.
    """
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1:
        raise ValueError(f"depth must be 6n + 4 with a positive n, got {depth}")
    return PreActivationResNet(
        stages=(blocks, blocks, blocks),
        block=partial(PreActivationBasicBlock, dropout=dropout),
        width=16 * widening,
        stem=SmallStem,
        norm=norm,
        classes=classes,
    )


wide_resnet16_4 = variant(wide_resnet, 16, 4)
wide_resnet16_8 = variant(wide_resnet, 16, 8)
wide_resnet28_10 = variant(wide_resnet, 28, 10)
wide_resnet40_2 = variant(wide_resnet, 40, 2)
wide_resnet40_4 = variant(wide_resnet, 40, 4)

# github.com/xternalz/WideResNet-pytorch with a widening above 1; our stem's norm is the first of its first block
WIDE_RESNET_XTERNALZ = Layout(
    (
        (r"stem/conv", r"conv1"),
        (r"stem/norm", r"block1.layer.0.bn1"),
        (r"stage(\d)/block(\d+)/conv(\d)", r"block\1.layer.\2.conv\3"),
        (r"stage(\d)/block(\d+)/norm(\d)", r"block\1.layer.\2.bn\3"),
        (r"stage(\d)/block(\d+)/shortcut/conv", r"block\1.layer.\2.convShortcut"),
        (r"norm", r"bn1"),
        (r"logits", r"fc"),
    )
)
