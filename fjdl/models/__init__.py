"""Architectures, one a file; a variant is a row of numbers.

May import Flax, floor 0, `fjdl.nn`, `fjdl.functional`, `fjdl.losses`, `fjdl.lowering`, `fjdl.analysis` and, for the
names of published weights, `fjdl.transfer`.

>>> from fjdl import models, nn
>>> model = nn.pure(models.MLP(hidden=(8,), classes=3))
>>> params, stats = model.init(jax.random.key(0), jnp.ones((1, 4)))
>>> sum(layer.parameters for layer in model.layers(jnp.ones((1, 4))))
67
"""

from fjdl.models.alexnet import ALEXNET_TORCHVISION, AlexNet, alexnet_cifar, alexnet_paper, alexnet_torchvision
from fjdl.models.convnext import (
    CONVNEXT_TIMM,
    CONVNEXT_TORCHVISION,
    ConvNeXt,
    ConvNeXtBlock,
    ConvNeXtStage,
    convnext_base,
    convnext_large,
    convnext_small,
    convnext_tiny,
)
from fjdl.models.densenet import (
    DENSENET_TORCHVISION,
    DenseLayer,
    DenseNet,
    DenseStage,
    Transition,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
    densenet_40_12,
    densenet_bc_100_12,
)
from fjdl.models.detection import (
    FPN,
    RCNN,
    SSD,
    YOLO,
    ConvHead,
    FasterRCNN,
    FastRCNN,
    Landmarks,
    Localizer,
    RegionHead,
    RetinaNet,
    faster_rcnn_anchors,
    faster_rcnn_resnet50,
    retinanet_anchors,
    retinanet_resnet50,
    ssd_anchors,
)
from fjdl.models.efficientnet import (
    EFFICIENTNET_TIMM,
    EFFICIENTNET_TORCHVISION,
    EfficientNet,
    MBConv,
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
)
from fjdl.models.googlenet import GOOGLENET_TORCHVISION, GoogLeNet, InceptionStage, googlenet_batch_norm
from fjdl.models.inception import INCEPTION_V3_TORCHVISION, InceptionV3
from fjdl.models.inception_modules import (
    Inception,
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
    NaiveInception,
)
from fjdl.models.lenet import LeNet5, LeNet5_1998
from fjdl.models.linear import LogisticRegression
from fjdl.models.mlp import MLP
from fjdl.models.mobilenet import MOBILENET_TIMM, DepthwiseSeparable, MobileNet
from fjdl.models.mobilenet_v2 import MOBILENET_V2_TIMM, MOBILENET_V2_TORCHVISION, InvertedResidual, MobileNetV2
from fjdl.models.residual import (
    BasicBlock,
    BottleneckBlock,
    PreActivationBasicBlock,
    PreActivationBottleneckBlock,
    ProjectionShortcut,
    ZeroPadShortcut,
    ZeroScaleBatchNorm,
)
from fjdl.models.resnet import (
    RESNET_TORCHVISION,
    ImageNetStem,
    PreActivationResNet,
    ResidualStage,
    ResNet,
    SmallStem,
    resnet18,
    resnet18_v2,
    resnet34,
    resnet34_v2,
    resnet50,
    resnet50_v1,
    resnet50_v2,
    resnet101,
    resnet101_v1,
    resnet101_v2,
    resnet152,
    resnet152_v1,
    resnet152_v2,
)
from fjdl.models.resnet_cifar import (
    CIFAR_RESNET_AKAMASTER,
    cifar_resnet20,
    cifar_resnet20_v2,
    cifar_resnet32,
    cifar_resnet32_v2,
    cifar_resnet44,
    cifar_resnet44_v2,
    cifar_resnet56,
    cifar_resnet56_v2,
    cifar_resnet110,
    cifar_resnet110_v2,
    cifar_resnet164_v2,
)
from fjdl.models.segmentation import (
    ASPP,
    DEEPLABV3_TORCHVISION,
    FCN,
    FCN_TORCHVISION,
    BackboneUNet,
    ConvBlock,
    DeepLabV3,
    DeepLabV3Plus,
    DenseFCN,
    SegNet,
    UNet,
    Upscore,
    deeplabv3_resnet50,
    deeplabv3plus_resnet50,
    fcn8s,
    fcn16s,
    fcn32s,
    fcn_resnet50,
    segnet_basic,
    unet_paper,
)
from fjdl.models.sequence import (
    BagOfFeatures,
    BahdanauDecoder,
    DeepAverage,
    EncoderDecoder,
    ImageEncoder,
    LSTMLanguageModel,
    Memory,
    RecurrentClassifier,
    RecurrentDecoder,
    RecurrentEncoder,
    TextClassifier,
    TextCNN,
    TransformerTextDecoder,
    TransformerTextEncoder,
)
from fjdl.models.variant import name_variants
from fjdl.models.vgg import VGG, VGGStage, vgg11, vgg13, vgg16, vgg16_cifar, vgg19, vgg_timm, vgg_torchvision
from fjdl.models.whitened import WhitenedGroup, WhitenedNet
from fjdl.models.wide_resnet import (
    WIDE_RESNET_XTERNALZ,
    wide_resnet,
    wide_resnet16_4,
    wide_resnet16_8,
    wide_resnet28_10,
    wide_resnet40_2,
    wide_resnet40_4,
)
from fjdl.models.zfnet import ZFNet, zfnet_paper

__all__ = [
    "ALEXNET_TORCHVISION", "ASPP", "CIFAR_RESNET_AKAMASTER", "CONVNEXT_TIMM", "CONVNEXT_TORCHVISION",
    "DEEPLABV3_TORCHVISION", "DENSENET_TORCHVISION", "EFFICIENTNET_TIMM", "EFFICIENTNET_TORCHVISION", "FCN",
    "FCN_TORCHVISION", "FPN", "GOOGLENET_TORCHVISION", "INCEPTION_V3_TORCHVISION", "MLP", "MOBILENET_TIMM",
    "MOBILENET_V2_TIMM", "MOBILENET_V2_TORCHVISION", "RCNN", "RESNET_TORCHVISION", "SSD", "VGG", "WIDE_RESNET_XTERNALZ",
    "YOLO", "AlexNet", "BackboneUNet", "BagOfFeatures", "BahdanauDecoder", "BasicBlock", "BottleneckBlock", "ConvBlock",
    "ConvHead", "ConvNeXt", "ConvNeXtBlock", "ConvNeXtStage", "DeepAverage", "DeepLabV3", "DeepLabV3Plus", "DenseFCN",
    "DenseLayer", "DenseNet", "DenseStage", "DepthwiseSeparable", "EfficientNet", "EncoderDecoder", "FastRCNN",
    "FasterRCNN", "GoogLeNet", "ImageEncoder", "ImageNetStem", "Inception", "InceptionA", "InceptionB", "InceptionC",
    "InceptionD", "InceptionE", "InceptionStage", "InceptionV3", "InvertedResidual", "LSTMLanguageModel", "Landmarks",
    "LeNet5", "LeNet5_1998", "Localizer", "LogisticRegression", "MBConv", "Memory", "MobileNet", "MobileNetV2",
    "NaiveInception", "PreActivationBasicBlock", "PreActivationBottleneckBlock", "PreActivationResNet",
    "ProjectionShortcut", "RecurrentClassifier", "RecurrentDecoder", "RecurrentEncoder", "RegionHead", "ResNet",
    "ResidualStage", "RetinaNet", "SegNet", "SmallStem", "TextCNN", "TextClassifier", "TransformerTextDecoder",
    "TransformerTextEncoder", "Transition", "UNet", "Upscore", "VGGStage", "WhitenedGroup", "WhitenedNet", "ZFNet",
    "ZeroPadShortcut", "ZeroScaleBatchNorm", "alexnet_cifar", "alexnet_paper", "alexnet_torchvision", "cifar_resnet20",
    "cifar_resnet20_v2", "cifar_resnet32", "cifar_resnet32_v2", "cifar_resnet44", "cifar_resnet44_v2", "cifar_resnet56",
    "cifar_resnet56_v2", "cifar_resnet110", "cifar_resnet110_v2", "cifar_resnet164_v2", "convnext_base",
    "convnext_large", "convnext_small", "convnext_tiny", "deeplabv3_resnet50", "deeplabv3plus_resnet50", "densenet121",
    "densenet161", "densenet169", "densenet201", "densenet_40_12", "densenet_bc_100_12", "efficientnet_b0",
    "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6",
    "efficientnet_b7", "faster_rcnn_anchors", "faster_rcnn_resnet50", "fcn8s", "fcn16s", "fcn32s", "fcn_resnet50",
    "googlenet_batch_norm", "resnet18", "resnet18_v2", "resnet34", "resnet34_v2", "resnet50", "resnet50_v1",
    "resnet50_v2", "resnet101", "resnet101_v1", "resnet101_v2", "resnet152", "resnet152_v1", "resnet152_v2",
    "retinanet_anchors", "retinanet_resnet50", "segnet_basic", "ssd_anchors", "unet_paper", "vgg11", "vgg13", "vgg16",
    "vgg16_cifar", "vgg19", "vgg_timm", "vgg_torchvision", "wide_resnet", "wide_resnet16_4", "wide_resnet16_8",
    "wide_resnet28_10", "wide_resnet40_2", "wide_resnet40_4", "zfnet_paper",
]  # fmt: skip

name_variants(globals())


def __dir__() -> list[str]:
    return __all__
