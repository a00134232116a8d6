"""Fully convolutional networks (Long et al. 2015, arXiv:1411.4038): FCN-8s, 16s and 32s, and torchvision's FCN."""

from functools import partial

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.functional.resize import resize2d
from fjdl.models.resnet import RESNET_TORCHVISION, resnet50
from fjdl.models.segmentation.blocks import ConvBlock, Part, Upscore, size_of
from fjdl.models.variant import variant
from fjdl.models.vgg import vgg16
from fjdl.nn import BatchNorm, Conv, Dropout, features
from fjdl.transfer.layout import Layout
from fjdl.typing import Array


class FCN(linen.Module):
    """Logits of each pixel: VGG-16 as convolutions, whose scores are enlarged and added to those of finer pools.

    `names` are the features of the backbone, from coarse to fine, and `factors` how much the scores are enlarged behind
    each: FCN-8s unless given, `fcn16s` and `fcn32s` have fewer. `hidden` convolutions, the first of `window` pixels,
    stand behind the coarsest. Scores start at 0, and enlargements as bilinear interpolation, which learns. The authors
    pad the image by 100 pixels and crop; here every convolution keeps its size, and any size of the image is met.
    """

    classes: int
    backbone: Part = vgg16
    names: tuple[str, ...] = ("pool5", "pool4", "pool3")
    factors: tuple[int, ...] = (2, 2, 8)
    hidden: tuple[int, ...] = (4096, 4096)
    window: int = 7
    dropout: float = 0.5

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, classes]."""
        found = features(self.backbone(name="backbone"), x, names=self.names, train=train)
        sizes = [*[size_of(found[name]) for name in self.names[1:]], size_of(x)]
        total = self._score(0, self._hidden(found[self.names[0]], train=train))
        for i, (size, factor) in enumerate(zip(sizes, self.factors, strict=True)):
            total = Upscore(factor, name=f"enlarge{i}")(total, size)
            if i + 1 < len(self.names):
                total = total + self._score(i + 1, found[self.names[i + 1]])
        return total

    def _hidden(self, x: Array, *, train: bool) -> Array:
        for i, width in enumerate(self.hidden):
            window = 1 if i else self.window
            x = relu(Conv(width, window, kernel_init=initializers.he_normal(), name=f"fc{i + 6}")(x))
            x = Dropout(self.dropout, name=f"dropout{i + 6}")(x, train=train)
        return x

    def _score(self, i: int, x: Array) -> Array:
        return Conv(self.classes, 1, kernel_init=initializers.zeros(), name=f"score{i}")(x)


fcn8s = variant(FCN)
fcn16s = variant(FCN, names=("pool5", "pool4"), factors=(2, 16))
fcn32s = variant(FCN, names=("pool5",), factors=(32,))


class DenseFCN(linen.Module):
    """Logits of each pixel: one convolution over the last features of a dilated network, and a score; torchvision's.

    `fcn_resnet50` has torchvision's weights by the names `FCN_TORCHVISION`, without its auxiliary classifier.
    """

    classes: int
    backbone: Part
    name_of_features: str = "stage4"
    width: int = 512
    dropout: float = 0.1
    norm: Part = BatchNorm

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, classes]."""
        name = self.name_of_features
        y = features(self.backbone(name="backbone"), x, names=(name,), train=train)[name]
        y = ConvBlock(self.width, convs=1, norm=self.norm, name="head")(y, train=train)
        y = Dropout(self.dropout, name="dropout")(y, train=train)
        return resize2d(Conv(self.classes, 1, name="logits")(y), size=size_of(x))


fcn_resnet50 = variant(DenseFCN, backbone=partial(resnet50, dilated=2))

BACKBONE = tuple((f"backbone/{ours}", f"backbone.{theirs}") for ours, theirs in RESNET_TORCHVISION.renames)
FCN_TORCHVISION = Layout(
    (
        *BACKBONE,
        (r"head/conv1", "classifier.0"),
        (r"head/norm1", "classifier.1"),
        (r"logits", "classifier.4"),
    )
)
