"""DeepLab's heads: v3 (Chen et al. 2017, arXiv:1706.05587) and v3+ (2018, arXiv:1802.02611)."""

from functools import partial

import jax.numpy as jnp
from flax import linen

from fjdl.functional.resize import resize2d
from fjdl.models.resnet import resnet50
from fjdl.models.segmentation.blocks import ConvBlock, Part, size_of
from fjdl.models.segmentation.fcn import BACKBONE
from fjdl.models.variant import variant
from fjdl.nn import BatchNorm, Conv, Dropout, GlobalAveragePool, features
from fjdl.transfer.layout import Layout
from fjdl.typing import Array


class ASPP(linen.Module):
    """Atrous spatial pyramid pooling: convolutions of several dilations, and the mean of the image, side by side.

    A 1 x 1 convolution, a 3 x 3 one for each of `rates`, and a 1 x 1 one of the mean over the image, each with norm and
    ReLU, are joined by a 1 x 1 convolution with norm and ReLU; dropout acts behind it.
    """

    features: int = 256
    rates: tuple[int, ...] = (12, 24, 36)
    dropout: float = 0.5
    norm: Part = BatchNorm

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, features]."""
        block = partial(ConvBlock, self.features, convs=1, window=1, norm=self.norm)
        parts = [block(name="pixel")(x, train=train)]
        for rate in self.rates:
            dilated = block(window=3, dilation=rate, name=f"rate{rate}")
            parts.append(dilated(x, train=train))
        mean = GlobalAveragePool(name="mean")(x)[:, None, None]
        whole = block(name="image")(mean, train=train)
        parts.append(jnp.broadcast_to(whole, parts[0].shape))
        x = block(name="project")(jnp.concatenate(parts, axis=-1), train=train)
        return Dropout(self.dropout, name="dropout")(x, train=train)


class DeepLabV3(linen.Module):
    """Logits of each pixel: ASPP over the last features of a dilated network, a convolution, and scores.

    `deeplabv3_resnet50` has torchvision's weights by the names `DEEPLABV3_TORCHVISION`, without its auxiliary
    classifier. `rates` are those for features of an eighth of the image in size; half of them fit a 16th.
    """

    classes: int
    backbone: Part
    name_of_features: str = "stage4"
    width: int = 256
    rates: tuple[int, ...] = (12, 24, 36)
    dropout: float = 0.5
    norm: Part = BatchNorm

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, classes]."""
        name = self.name_of_features
        y = features(self.backbone(name="backbone"), x, names=(name,), train=train)[name]
        y = ASPP(self.width, self.rates, self.dropout, self.norm, name="aspp")(y, train=train)
        y = ConvBlock(self.width, convs=1, norm=self.norm, name="head")(y, train=train)
        return resize2d(Conv(self.classes, 1, name="logits")(y), size=size_of(x))


class DeepLabV3Plus(linen.Module):
    """`DeepLabV3` whose features are enlarged to the size of finer ones and convolved beside them, before the scores.

    `names` are the fine and the coarse features; the fine ones are first narrowed to `narrow` channels.
    """

    classes: int
    backbone: Part
    names: tuple[str, str] = ("stage1", "stage4")
    width: int = 256
    narrow: int = 48
    rates: tuple[int, ...] = (6, 12, 18)
    dropout: float = 0.5
    norm: Part = BatchNorm

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, classes]."""
        found = features(self.backbone(name="backbone"), x, names=self.names, train=train)
        fine, coarse = (found[name] for name in self.names)
        y = ASPP(self.width, self.rates, self.dropout, self.norm, name="aspp")(coarse, train=train)
        fine = ConvBlock(self.narrow, convs=1, window=1, norm=self.norm, name="narrow")(fine, train=train)
        y = jnp.concatenate([resize2d(y, size=size_of(fine)), fine], axis=-1)
        y = ConvBlock(self.width, norm=self.norm, name="head")(y, train=train)
        return resize2d(Conv(self.classes, 1, name="logits")(y), size=size_of(x))


deeplabv3_resnet50 = variant(DeepLabV3, backbone=partial(resnet50, dilated=2))
deeplabv3plus_resnet50 = variant(DeepLabV3Plus, backbone=partial(resnet50, dilated=1))

DEEPLABV3_TORCHVISION = Layout(
    (
        *BACKBONE,
        (r"aspp/pixel/conv1", "classifier.0.convs.0.0"),
        (r"aspp/pixel/norm1", "classifier.0.convs.0.1"),
        *[
            (f"aspp/rate{rate}/{part}1", f"classifier.0.convs.{i}.{j}")
            for i, rate in enumerate((12, 24, 36), start=1)
            for j, part in enumerate(("conv", "norm"))
        ],
        (r"aspp/image/conv1", "classifier.0.convs.4.1"),
        (r"aspp/image/norm1", "classifier.0.convs.4.2"),
        (r"aspp/project/conv1", "classifier.0.project.0"),
        (r"aspp/project/norm1", "classifier.0.project.1"),
        (r"head/conv1", "classifier.1"),
        (r"head/norm1", "classifier.2"),
        (r"logits", "classifier.4"),
    )
)
