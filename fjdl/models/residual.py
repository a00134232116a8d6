"""Residual blocks and their shortcuts: of 2015, and of 2016 with the activation before the convolution.

He et al. 2015, arXiv:1512.03385; 2016, arXiv:1603.05027. Convolutions have no biases and start as `he_normal`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.nn import BatchNorm, Conv, Dropout
from fjdl.nn.conv_norm import conv_then_norm
from fjdl.typing import Array

Part = Callable[..., linen.Module]


# Its scale starts at 0, so that a block whose `last_norm` it is starts as its shortcut alone: Goyal et al. 2017,
# arXiv:1706.02677; `zero_init_residual=True` of torchvision.
ZeroScaleBatchNorm = partial(BatchNorm, scale_init=initializers.zeros())


class Shortcut(linen.Module):
    """What every shortcut is given by its block; `norm` is None in blocks that activate before they convolve."""

    features: int
    stride: int = 1
    norm: Part | None = BatchNorm


class ProjectionShortcut(Shortcut):
    """The identity, or a 1x1 convolution where a block changes the shape: option B; `always` makes it option C."""

    always: bool = False

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌈h / stride⌉, ⌈w / stride⌉, features]."""
        if not (self.always or _changes(x, self.features, self.stride)):
            return x
        project = conv(self.features, 1, stride=self.stride, name="conv")
        return project(x) if self.norm is None else conv_then_norm(x, project, self.norm(name="norm"), train=train)


class ZeroPadShortcut(Shortcut):
    """The identity, or every `stride`-th pixel with channels of zeros on both sides: option A, with no parameters.

    An odd number of new channels puts one more behind than before. Raises `ValueError` for fewer features than
    channels.
    """

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌈h / stride⌉, ⌈w / stride⌉, features]."""
        if not _changes(x, self.features, self.stride):
            return x
        more = self.features - x.shape[-1]
        if more < 0:
            raise ValueError(f"features must be at least the channels, {x.shape[-1]}, got {self.features}")
        sides = [(0, 0)] * (x.ndim - 1) + [(more // 2, more - more // 2)]
        return jnp.pad(x[..., :: self.stride, :: self.stride, :], sides)


class BasicBlock(linen.Module):
    """ReLU(shortcut(x) + two 3x3 convolutions with batch norm): `features` channels.

    The first of them has the stride and the dilation.
    """

    features: int
    stride: int = 1
    dilation: int = 1
    shortcut: Part = ProjectionShortcut
    norm: Part = BatchNorm
    last_norm: Part | None = None  # `norm` unless given

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌈h / stride⌉, ⌈w / stride⌉, features]."""
        y = conv(self.features, 3, stride=self.stride, dilation=self.dilation, name="conv1")(x)
        y = relu(self.norm(name="norm1")(y, train=train))
        y = conv(self.features, 3, name="conv2")(y)
        y = (self.last_norm or self.norm)(name="norm2")(y, train=train)
        return relu(y + _around(self, x, self.features, norm=self.norm, train=train))


class BottleneckBlock(linen.Module):
    """ReLU(shortcut(x) + 1x1, 3x3 and 1x1 convolutions with batch norm): `4 features` channels, `features` inside.

    The 3x3 convolution has the stride, as in torchvision and timm ("v1.5"); with `stride_first` it is the first 1x1,
    as in the paper. The two have the same parameters: weights of one load into the other and give other outputs. The
    3x3 convolution has the `dilation`.
    """

    features: int
    stride: int = 1
    dilation: int = 1
    stride_first: bool = False
    shortcut: Part = ProjectionShortcut
    norm: Part = BatchNorm
    last_norm: Part | None = None  # `norm` unless given

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌈h / stride⌉, ⌈w / stride⌉, 4 features]."""
        first, second = (self.stride, 1) if self.stride_first else (1, self.stride)
        y = conv(self.features, 1, stride=first, name="conv1")(x)
        y = relu(self.norm(name="norm1")(y, train=train))
        y = conv(self.features, 3, stride=second, dilation=self.dilation, name="conv2")(y)
        y = relu(self.norm(name="norm2")(y, train=train))
        last = conv(4 * self.features, 1, name="conv3"), (self.last_norm or self.norm)(name="norm3")
        y = conv_then_norm(y, *last, train=train)
        return relu(y + _around(self, x, 4 * self.features, norm=self.norm, train=train))


class PreActivationBasicBlock(linen.Module):
    """shortcut(x) + two 3x3 convolutions, each of the normalized and activated: `features` channels.

    A shortcut that changes the shape starts from the activated input. `activated` says that the input is activated
    already, as it is behind a stem. `dropout` acts between the convolutions, as in wide residual networks. `dilation`
    is that of the first.
    """

    features: int
    stride: int = 1
    dilation: int = 1
    shortcut: Part = ProjectionShortcut
    norm: Part = BatchNorm
    activated: bool = False
    dropout: float = 0.0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌈h / stride⌉, ⌈w / stride⌉, features]."""
        active = x if self.activated else relu(self.norm(name="norm1")(x, train=train))
        y = conv(self.features, 3, stride=self.stride, dilation=self.dilation, name="conv1")(active)
        y = relu(self.norm(name="norm2")(y, train=train))
        y = Dropout(self.dropout, name="dropout")(y, train=train)
        y = conv(self.features, 3, name="conv2")(y)
        start = active if _changes(x, self.features, self.stride) else x
        return y + _around(self, start, self.features, norm=None, train=train)


class PreActivationBottleneckBlock(linen.Module):
    """shortcut(x) + 1x1, 3x3 and 1x1 convolutions, each of the normalized and activated: `4 features` channels.

    A shortcut that changes the shape starts from the activated input. `activated` says that the input is activated
    already, as it is behind a stem. The 3x3 convolution has the stride and the dilation.
    """

    features: int
    stride: int = 1
    dilation: int = 1
    shortcut: Part = ProjectionShortcut
    norm: Part = BatchNorm
    activated: bool = False

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌈h / stride⌉, ⌈w / stride⌉, 4 features]."""
        active = x if self.activated else relu(self.norm(name="norm1")(x, train=train))
        y = conv(self.features, 1, name="conv1")(active)
        y = relu(self.norm(name="norm2")(y, train=train))
        y = conv(self.features, 3, stride=self.stride, dilation=self.dilation, name="conv2")(y)
        y = relu(self.norm(name="norm3")(y, train=train))
        y = conv(4 * self.features, 1, name="conv3")(y)
        start = active if _changes(x, 4 * self.features, self.stride) else x
        return y + _around(self, start, 4 * self.features, norm=None, train=train)


def conv(features: int, window: int, *, stride: int = 1, dilation: int = 1, name: str) -> Conv:
    """A convolution without bias that pads by half of its odd window, as it is dilated."""
    return Conv(
        features,
        window,
        stride=stride,
        padding=dilation * (window // 2),
        dilation=dilation,
        use_bias=False,
        kernel_init=initializers.he_normal(),
        name=name,
    )


def _around(block: Any, x: Array, features: int, *, norm: Part | None, train: bool) -> Array:
    """What the block's shortcut makes of `x`."""
    return block.shortcut(features, stride=block.stride, norm=norm, name="shortcut")(x, train=train)


def _changes(x: Array, features: int, stride: int) -> bool:
    return stride != 1 or x.shape[-1] != features
