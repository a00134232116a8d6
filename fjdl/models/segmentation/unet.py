"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597), and its way up from the features of any network."""

from functools import partial

import jax.numpy as jnp
from flax import linen

from fjdl.functional import initializers
from fjdl.functional.rearrange import depth_to_space, space_to_depth
from fjdl.functional.resize import resize2d
from fjdl.geometry import ConvPadding
from fjdl.models.segmentation.blocks import ConvBlock, Part, size_of
from fjdl.models.variant import variant
from fjdl.nn import BatchNorm, Conv, ConvTranspose, Dropout, MaxPool, features
from fjdl.typing import Array


class UNet(linen.Module):
    """Logits of each pixel: a way down of `widths`, each level half the size, and one up, past what was there before.

    The first width is at the size of the image. On the way up a 2 x 2 transposed convolution halves the channels, and
    the features of the same size on the way down stand beside its result. The paper's network, `unet_paper`, has
    31,030,658 parameters for two classes of images with one channel, no norms, and no padding: its logits are those of
    the inner pixels, 388 x 388 of 572 x 572. `dropout` acts behind the lowest level.
    Raises `ValueError` for an image whose sides the pools do not divide.
    """

    classes: int
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    convs: int = 2
    norm: Part | None = BatchNorm
    padding: ConvPadding = "SAME"
    dropout: float = 0.0
    block: int = 1

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, classes], or fewer pixels with padding "VALID"."""
        x = space_to_depth(x, block=self.block)
        convs = partial(ConvBlock, convs=self.convs, padding=self.padding, norm=self.norm)
        passed = []
        for level, width in enumerate(self.widths[:-1], start=1):
            x = convs(width, name=f"down{level}")(x, train=train)
            passed.append(x)
            _require_halves(x)
            x = MaxPool(2, name=f"pool{level}")(x)
        x = convs(self.widths[-1], name="bottom")(x, train=train)
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        for level in range(len(self.widths) - 1, 0, -1):
            width, beside = self.widths[level - 1], passed[level - 1]
            x = ConvTranspose(width, 2, stride=2, kernel_init=initializers.he_normal(), name=f"enlarge{level}")(x)
            x = jnp.concatenate([_centre(beside, size_of(x)), x], axis=-1)
            x = convs(width, name=f"up{level}")(x, train=train)
        logits = Conv(self.classes * self.block**2, 1, name="logits")(x)
        return depth_to_space(logits, block=self.block)


class BackboneUNet(linen.Module):
    """Logits of each pixel: U-Net's way up from the outputs `names` of a network, from fine to coarse.

    On each level the coarser features are repeated to the size of the finer ones and stand beside them; two
    convolutions of `widths`, one for each name but the last, follow. The logits are interpolated to the size of the
    image. `backbone` makes the network, such as `resnet34`, of which nothing behind the last name runs or has
    parameters. As in segmentation_models.pytorch, whose decoder goes on to the size of the image.
    """

    classes: int
    backbone: Part
    names: tuple[str, ...]
    widths: tuple[int, ...]
    norm: Part | None = BatchNorm

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, classes]."""
        if len(self.widths) != len(self.names) - 1:
            raise ValueError(f"widths must be one fewer than names, got {len(self.widths)} for {len(self.names)}")
        found = features(self.backbone(name="backbone"), x, names=self.names, train=train)
        y = found[self.names[-1]]
        for level in range(len(self.widths), 0, -1):
            beside = found[self.names[level - 1]]
            y = resize2d(y, size=size_of(beside), method="nearest")
            y = jnp.concatenate([beside, y], axis=-1)
            y = ConvBlock(self.widths[level - 1], norm=self.norm, name=f"up{level}")(y, train=train)
        return resize2d(Conv(self.classes, 1, name="logits")(y), size=size_of(x))


unet_paper = variant(UNet, norm=None, padding="VALID", dropout=0.5)


def _require_halves(x: Array) -> None:
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError(f"every level must have an even number of rows and columns to halve, got {size_of(x)}")


def _centre(x: Array, size: tuple[int, int]) -> Array:
    """The inner pixels, where there are more than `size`."""
    top, left = (x.shape[1] - size[0]) // 2, (x.shape[2] - size[1]) // 2
    return x[:, top : top + size[0], left : left + size[1]]
