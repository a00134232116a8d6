"""One small network of each family, with the shape of an image that it takes."""

from typing import Any

import pytest
from flax import linen

from fjdl import models
from fjdl.models import PreActivationBottleneckBlock

WIDTHS = (8, 8, 8, 8, 8)

FAMILIES: dict[str, tuple[linen.Module, tuple[int, int, int]]] = {
    "LogisticRegression": (models.LogisticRegression(3), (4, 4, 1)),
    "MLP": (models.MLP((5,), 3), (4, 4, 1)),
    "LeNet5": (models.LeNet5(), (28, 28, 1)),
    "LeNet5_1998": (models.LeNet5_1998(), (32, 32, 1)),
    "AlexNet": (models.alexnet_cifar(widths=WIDTHS, hidden=8), (17, 17, 3)),
    "ZFNet": (models.ZFNet(widths=WIDTHS, hidden=8, classes=3), (80, 80, 3)),
    "VGG": (models.vgg16_cifar(stages=(1, 1, 1, 1, 1), widths=WIDTHS), (32, 32, 3)),
    "GoogLeNet": (models.googlenet_batch_norm(classes=3), (64, 64, 3)),
    "InceptionV3": (models.InceptionV3(classes=3), (75, 75, 3)),
    "ResNet": (models.ResNet((1, 1), models.BasicBlock, width=8, classes=3), (32, 32, 3)),
    "PreActivationResNet": (
        models.PreActivationResNet((1, 1), PreActivationBottleneckBlock, width=8),
        (32, 32, 3),
    ),
    "DenseNet": (models.DenseNet(stages=(1, 2), growth=4, width=8, classes=3), (32, 32, 3)),
    "MobileNet": (models.MobileNet(alpha=0.25, classes=3), (32, 32, 3)),
    "MobileNetV2": (models.MobileNetV2(alpha=0.25, classes=3), (32, 32, 3)),
    "EfficientNet": (models.EfficientNet(width=0.25, depth=0.25, classes=3), (32, 32, 3)),
    "ConvNeXt": (models.ConvNeXt(depths=(1, 1), widths=(8, 8), classes=3), (16, 16, 3)),
    "WhitenedNet": (models.WhitenedNet(widths=(8, 8, 8)), (31, 31, 3)),
}


def families() -> list[Any]:
    """A parameter set for each family, at night: the layers that it is made of are under the same laws by day."""
    return [pytest.param(*row, id=name, marks=pytest.mark.slow) for name, row in FAMILIES.items()]
