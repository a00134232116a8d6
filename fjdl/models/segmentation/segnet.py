"""SegNet (Badrinarayanan et al. 2015, arXiv:1511.00561): the way up puts pixels back where maxima were found."""

from functools import partial

from flax import linen

from fjdl.functional.pool.unpool import max_pool2d_with_indices, max_unpool2d
from fjdl.models.segmentation.blocks import ConvBlock, Part, size_of
from fjdl.models.variant import variant
from fjdl.nn import BatchNorm, Conv
from fjdl.typing import Array


class SegNet(linen.Module):
    """Logits of each pixel: VGG-16's convolutions with batch norm down, and as many up behind each unpooling.

    Pools remember the places of their maxima, and unpooling puts entries there and zeros elsewhere. `convs` are the
    convolutions of each level in both directions; the last one of a level on the way up has the width of the level
    above it, and the last one of all are the logits. `segnet_basic` has one convolution of 7 x 7 and 64 features on
    each of four levels.
    """

    classes: int
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    convs: tuple[int, ...] = (2, 2, 3, 3, 3)
    window: int = 3
    norm: Part = BatchNorm

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, classes]."""
        block = partial(ConvBlock, window=self.window, norm=self.norm)
        places = []
        for level, (width, convs) in enumerate(zip(self.widths, self.convs, strict=True), start=1):
            x = block(width, convs, name=f"down{level}")(x, train=train)
            size = size_of(x)
            x, indices = max_pool2d_with_indices(x, window=2)
            places.append((indices, size))
        for level in range(len(self.widths), 0, -1):
            x = max_unpool2d(x, places[level - 1][0], size=places[level - 1][1])
            x = block(self.widths[level - 1], self.convs[level - 1] - 1, name=f"up{level}")(x, train=train)
            if level > 1:
                x = block(self.widths[level - 2], 1, name=f"narrow{level}")(x, train=train)
        return Conv(self.classes, self.window, name="logits")(x)


segnet_basic = variant(SegNet, widths=(64, 64, 64, 64), convs=(1, 1, 1, 1), window=7)
