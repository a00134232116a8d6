"""Dense, convolutional and dropout layers.

Parameters are float32; a layer computes in the dtype of its input, so a network fed bfloat16 runs in bfloat16.
"""

from collections.abc import Callable
from typing import Any

from flax import linen

from fjdl.analysis import Layer, conv_layer, dense_layer
from fjdl.checks import at_least, known
from fjdl.functional import initializers
from fjdl.functional.conv.conv2d import conv2d
from fjdl.functional.dropout import dropout
from fjdl.functional.linear import linear
from fjdl.geometry import ConvPadding, Pair, pair
from fjdl.typing import Array

Initializer = initializers.Initializer


class Dense(linen.Module):
    """`linear` with a kernel `[inputs, features]` and a bias."""

    features: int
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., inputs] to [..., features]."""
        at_least(1, features=self.features)
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        return linear(x, kernel, bias)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return dense_layer(shape, features=self.features, bias=self.use_bias)


class Conv(linen.Module):
    """`conv2d` with a kernel `[kh, kw, channels / groups, features]` and a bias."""

    features: int
    window: Pair
    stride: Pair = 1
    padding: ConvPadding = "SAME"
    dilation: Pair = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array, *, product: Callable[[Array, Array], Array] | None = None) -> Array:
        """[..., h, w, channels] to [..., h_out, w_out, features].

        Where `product` is given, it makes the result of the pixels that windows of one pixel meet, [..., channels], and
        of the kernel as a matrix [channels, features], in place of the convolution.
        """
        at_least(1, features=self.features)
        shape = (*pair("window", self.window), x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        if product is not None:
            rows, columns = pair("stride", self.stride)
            return product(x[..., ::rows, ::columns, :], kernel[0, 0])
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        return conv2d(
            x, kernel, bias, stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups
        )

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return conv_cost(self, shape, features=self.features, groups=self.groups)


class Dropout(linen.Module):
    """`dropout` in training with a key of the stream "dropout"; the identity otherwise."""

    rate: float

    @linen.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """`x` with entries dropped where `train`."""
        if not train or known(self.rate) == 0:
            return x
        return dropout(self.make_rng("dropout"), x, rate=self.rate)


def conv_cost(conv: Any, shape: tuple[int, ...], *, features: int, groups: int = 1) -> Layer:
    """The row of a convolution that has its window, stride, padding, dilation and `use_bias` as fields."""
    return conv_layer(
        shape,
        features=features,
        kernel=conv.window,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=groups,
        bias=conv.use_bias,
    )
