"""Inception modules: branches of convolutions side by side, joined along the channels in the order of the papers."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.geometry import Padding, Pair, pair
from fjdl.nn import AveragePool, BatchNorm, Conv, MaxPool
from fjdl.typing import Array

Part = Callable[..., linen.Module]
Row = tuple[str, int, Pair] | tuple[str, int, Pair, int]  # name, features, window and stride of a convolution

InceptionNorm = partial(BatchNorm, epsilon=1e-3)  # torchvision's and timm's; PyTorch's default is 1e-5


class ConvUnit(linen.Module):
    """ReLU of a convolution; `norm` acts before the ReLU and takes the place of the bias."""

    features: int
    window: Pair
    stride: Pair = 1
    padding: Padding = 0
    norm: Part | None = InceptionNorm
    kernel_init: initializers.Initializer = initializers.he_normal()

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h_out, w_out, features]."""
        x = Conv(
            self.features,
            self.window,
            stride=self.stride,
            padding=self.padding,
            use_bias=self.norm is None,
            kernel_init=self.kernel_init,
            name="conv",
        )(x)
        return relu(x if self.norm is None else self.norm(name="norm")(x, train=train))


class NaiveInception(linen.Module):
    """1x1, 3x3 and 5x5 convolutions and a 3x3 max pool of the input, whose channels all stay.

    Szegedy et al. 2015, arXiv:1409.4842, figure 2a: each such module adds to the channels of the one before.
    """

    ones: int
    threes: int
    fives: int
    norm: Part | None = None

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, ones + threes + fives + channels]."""
        branch = partial(_branch, train=train, unit=partial(ConvUnit, norm=self.norm))
        return join(
            branch(x, ("conv1x1", self.ones, 1)),
            branch(x, ("conv3x3", self.threes, 3)),
            branch(x, ("conv5x5", self.fives, 5)),
            MaxPool(3, stride=1, padding=1, name="pool")(x),
        )


class Inception(linen.Module):
    """1x1, 3x3 and 5x5 convolutions and a projected 3x3 max pool; a 1x1 convolution reduces what the larger ones see.

    `widths` are the columns of Szegedy et al. 2015, arXiv:1409.4842, table 1: #1×1, #3×3 reduce, #3×3, #5×5 reduce,
    #5×5, pool proj. `window` is that of the third branch, 3 in torchvision.
    """

    widths: tuple[int, int, int, int, int, int]
    window: int = 5
    norm: Part | None = None

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, #1×1 + #3×3 + #5×5 + pool proj]."""
        ones, reduce3, threes, reduce5, fives, projected = self.widths
        branch = partial(_branch, train=train, unit=partial(ConvUnit, norm=self.norm))
        return join(
            branch(x, ("conv1x1", ones, 1)),
            branch(x, ("reduce3x3", reduce3, 1), ("conv3x3", threes, 3)),
            branch(x, ("reduce5x5", reduce5, 1), ("conv5x5", fives, self.window)),
            branch(MaxPool(3, stride=1, padding=1, name="pool")(x), ("project", projected, 1)),
        )


class InceptionA(linen.Module):
    """1x1, 5x5 and twice 3x3 convolutions and a projected average.

    Szegedy et al. 2016, arXiv:1512.00567, figure 5, where the 5x5 is a 3x3; it is 5x5 in torchvision.
    """

    projected: int
    unit: Part = ConvUnit

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, 224 + projected]."""
        branch = partial(_branch, train=train, unit=self.unit)
        return join(
            branch(x, ("branch1x1", 64, 1)),
            branch(x, ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
            branch(x, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)),
            branch(_average(x), ("branch_pool", self.projected, 1)),
        )


class InceptionB(linen.Module):
    """3x3 and twice 3x3 convolutions and a max pool, all of stride 2: Szegedy et al. 2016, figure 10."""

    unit: Part = ConvUnit

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌊(h - 1) / 2⌋, ⌊(w - 1) / 2⌋, 480 + channels]."""
        branch = partial(_branch, train=train, unit=self.unit)
        return join(
            branch(x, ("branch3x3", 384, 3, 2)),
            branch(x, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3, 2)),
            MaxPool(3, stride=2, name="pool")(x),
        )


class InceptionC(linen.Module):
    """1x1, 7x7 and twice 7x7 convolutions, each 7x7 as 1x7 and 7x1, and a projected average: figure 6 with n = 7.

    `inner` channels lie between the factors; the module joins 192 of each branch. Szegedy et al. 2016.
    """

    inner: int
    unit: Part = ConvUnit

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, 768]."""
        branch, inner = partial(_branch, train=train, unit=self.unit), self.inner
        across, down = (1, 7), (7, 1)
        return join(
            branch(x, ("branch1x1", 192, 1)),
            branch(x, ("branch7x7_1", inner, 1), ("branch7x7_2", inner, across), ("branch7x7_3", 192, down)),
            branch(
                x,
                ("branch7x7dbl_1", inner, 1),
                ("branch7x7dbl_2", inner, down),
                ("branch7x7dbl_3", inner, across),
                ("branch7x7dbl_4", inner, down),
                ("branch7x7dbl_5", 192, across),
            ),
            branch(_average(x), ("branch_pool", 192, 1)),
        )


class InceptionD(linen.Module):
    """3x3 and 7x7 with 3x3 convolutions and a max pool, all of stride 2, between the second and third size of image.

    Szegedy et al. 2016 give its idea in figure 10; its branches are torchvision's.
    """

    unit: Part = ConvUnit

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌊(h - 1) / 2⌋, ⌊(w - 1) / 2⌋, 512 + channels]."""
        branch = partial(_branch, train=train, unit=self.unit)
        return join(
            branch(x, ("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2)),
            branch(
                x,
                ("branch7x7x3_1", 192, 1),
                ("branch7x7x3_2", 192, (1, 7)),
                ("branch7x7x3_3", 192, (7, 1)),
                ("branch7x7x3_4", 192, 3, 2),
            ),
            MaxPool(3, stride=2, name="pool")(x),
        )


class InceptionE(linen.Module):
    """1x1, 3x3 and twice 3x3 convolutions, the last of each as 1x3 beside 3x1, and a projected average: figure 7.

    Szegedy et al. 2016, for the coarsest images, where channels are to spread out.
    """

    unit: Part = ConvUnit

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, 2048]."""
        branch = partial(_branch, train=train, unit=self.unit)
        single = branch(x, ("branch3x3_1", 384, 1))
        double = branch(x, ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3))
        return join(
            branch(x, ("branch1x1", 320, 1)),
            branch(single, ("branch3x3_2a", 384, (1, 3))),
            branch(single, ("branch3x3_2b", 384, (3, 1))),
            branch(double, ("branch3x3dbl_3a", 384, (1, 3))),
            branch(double, ("branch3x3dbl_3b", 384, (3, 1))),
            branch(_average(x), ("branch_pool", 192, 1)),
        )


def join(*branches: Array) -> Array:
    """The branches' channels one after another."""
    return jnp.concatenate(branches, axis=-1)


def _branch(x: Array, *rows: Row, unit: Part, train: bool) -> Array:
    """Convolutions one after another, padded to keep the size where the stride is 1 and not padded else."""
    for name, features, window, *stride in rows:
        down, across = (size // 2 for size in pair("window", window))
        same = ((down, down), (across, across))
        x = unit(features, window, *stride, padding=0 if stride else same, name=name)(x, train=train)
    return x


def _average(x: Array) -> Array:
    return AveragePool(3, stride=1, padding=1, name="pool")(x)
