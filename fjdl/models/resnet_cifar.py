"""The ResNets of 6n + 2 layers for small images of He et al. 2015, arXiv:1512.03385, section 4.2, and of 2016.

Three stages of n blocks with 16, 32 and 64 features; shortcuts have no parameters (option A). Those named `_v2` have
pre-activation; the one of 164 layers has bottlenecks, with projections, as in arXiv:1603.05027.
"""

from functools import partial

from fjdl.models.residual import (
    BasicBlock,
    PreActivationBasicBlock,
    PreActivationBottleneckBlock,
    ZeroPadShortcut,
)
from fjdl.models.resnet import PreActivationResNet, ResNet, SmallStem
from fjdl.models.variant import variant
from fjdl.transfer.layout import Layout

_NETWORK = partial(ResNet, block=partial(BasicBlock, shortcut=ZeroPadShortcut), width=16, stem=SmallStem, classes=10)
_NETWORK_V2 = partial(PreActivationResNet, width=16, stem=SmallStem, classes=10)
_BLOCK_V2 = partial(PreActivationBasicBlock, shortcut=ZeroPadShortcut)

cifar_resnet20 = variant(_NETWORK, stages=(3, 3, 3))
cifar_resnet32 = variant(_NETWORK, stages=(5, 5, 5))
cifar_resnet44 = variant(_NETWORK, stages=(7, 7, 7))
cifar_resnet56 = variant(_NETWORK, stages=(9, 9, 9))
cifar_resnet110 = variant(_NETWORK, stages=(18, 18, 18))

cifar_resnet20_v2 = variant(_NETWORK_V2, stages=(3, 3, 3), block=_BLOCK_V2)
cifar_resnet32_v2 = variant(_NETWORK_V2, stages=(5, 5, 5), block=_BLOCK_V2)
cifar_resnet44_v2 = variant(_NETWORK_V2, stages=(7, 7, 7), block=_BLOCK_V2)
cifar_resnet56_v2 = variant(_NETWORK_V2, stages=(9, 9, 9), block=_BLOCK_V2)
cifar_resnet110_v2 = variant(_NETWORK_V2, stages=(18, 18, 18), block=_BLOCK_V2)
cifar_resnet164_v2 = variant(_NETWORK_V2, stages=(18, 18, 18), block=PreActivationBottleneckBlock)

# github.com/akamaster/pytorch_resnet_cifar10, whose files put "module." before every name
CIFAR_RESNET_AKAMASTER = Layout(
    (
        (r"stem/conv", r"conv1"),
        (r"stem/norm", r"bn1"),
        (r"stage(\d)/block(\d+)/conv(\d)", r"layer\1.\2.conv\3"),
        (r"stage(\d)/block(\d+)/norm(\d)", r"layer\1.\2.bn\3"),
        (r"logits", r"linear"),
    )
)
