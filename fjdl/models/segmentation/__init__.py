"""Networks of segmentation: a class for each pixel.

May import Flax, floor 0, `fjdl.nn`, `fjdl.functional`, `fjdl.losses`, `fjdl.lowering`, `fjdl.analysis`, `fjdl.models`
for its backbones and, for the names of published weights, `fjdl.transfer`.

>>> from fjdl import models, nn
>>> network = models.UNet(classes=2, widths=(4, 8))
>>> model, images = nn.pure(network), jnp.ones((3, 16, 16, 1))
>>> params, stats = model.init(jax.random.key(0), images)
>>> logits, _ = model.apply(params, stats, images)
>>> logits.shape
(3, 16, 16, 2)
"""

from fjdl.models.segmentation.blocks import ConvBlock, Upscore
from fjdl.models.segmentation.deeplab import (
    ASPP,
    DEEPLABV3_TORCHVISION,
    DeepLabV3,
    DeepLabV3Plus,
    deeplabv3_resnet50,
    deeplabv3plus_resnet50,
)
from fjdl.models.segmentation.fcn import FCN, FCN_TORCHVISION, DenseFCN, fcn8s, fcn16s, fcn32s, fcn_resnet50
from fjdl.models.segmentation.segnet import SegNet, segnet_basic
from fjdl.models.segmentation.unet import BackboneUNet, UNet, unet_paper

__all__ = [
    "ASPP",
    "DEEPLABV3_TORCHVISION",
    "FCN",
    "FCN_TORCHVISION",
    "BackboneUNet",
    "ConvBlock",
    "DeepLabV3",
    "DeepLabV3Plus",
    "DenseFCN",
    "SegNet",
    "UNet",
    "Upscore",
    "deeplabv3_resnet50",
    "deeplabv3plus_resnet50",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fcn_resnet50",
    "segnet_basic",
    "unet_paper",
]
