"""Convolutional layers of other forms than `Conv`.

Parameters are float32; a layer computes in the dtype of its input.
"""

import dataclasses
import math

import jax
from flax import linen

from fjdl.analysis import Layer, conv_layer
from fjdl.functional import initializers
from fjdl.functional.conv.conv1d import conv1d
from fjdl.functional.conv.conv3d import conv3d
from fjdl.functional.conv.local import locally_connected2d
from fjdl.functional.conv.separable import depthwise_conv2d, separable_conv2d, spatially_separable_conv2d
from fjdl.functional.conv.transposed import conv_transpose2d
from fjdl.geometry import (
    ConvPadding,
    ConvPadding1D,
    ConvPadding3D,
    Padding,
    Pair,
    Single,
    Triple,
    pair,
    per_axis,
    slide,
)
from fjdl.nn.layers import conv_cost
from fjdl.typing import Array

Initializer = initializers.Initializer


class Conv1D(linen.Module):
    """`conv1d` with a kernel `[k, channels / groups, features]` and a bias."""

    features: int
    window: Single
    stride: Single = 1
    padding: ConvPadding1D = "SAME"
    dilation: Single = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., t, channels] to [..., t_out, features]."""
        shape = (*per_axis("window", self.window, axes=1), x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        return conv1d(
            x, kernel, bias, stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups
        )

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return conv_cost(self, shape, features=self.features, groups=self.groups)


class Conv3D(linen.Module):
    """`conv3d` with a kernel `[kd, kh, kw, channels / groups, features]` and a bias."""

    features: int
    window: Triple
    stride: Triple = 1
    padding: ConvPadding3D = "SAME"
    dilation: Triple = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., d, h, w, channels] to [..., d_out, h_out, w_out, features]."""
        shape = (*per_axis("window", self.window, axes=3), x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        return conv3d(
            x, kernel, bias, stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups
        )

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return conv_cost(self, shape, features=self.features, groups=self.groups)


class ConvTranspose(linen.Module):
    """`conv_transpose2d` with a kernel `[kh, kw, features / groups, channels]` and a bias.

    The kernel starts as LeCun's for these groups, counted as `fans(transposed=True)` does, unless another is given.
    """

    features: int
    window: Pair
    stride: Pair = 1
    padding: Padding = "SAME"
    output_padding: Pair = 0
    dilation: Pair = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer | None = None
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., h, w, channels] to [..., h_out, w_out, features]."""
        init = self.kernel_init or initializers.variance_scaling(1.0, groups=self.groups, transposed=True)
        kernel = self.param("kernel", init, (*pair("window", self.window), self.features // self.groups, x.shape[-1]))
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        return conv_transpose2d(
            x,
            kernel,
            bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        *size, channels = shape
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        output = jax.eval_shape(
            lambda x, k: conv_transpose2d(x, k, output_padding=self.output_padding, groups=self.groups, **options),
            jax.ShapeDtypeStruct(shape, "float32"),
            jax.ShapeDtypeStruct((*pair("window", self.window), self.features // self.groups, channels), "float32"),
        ).shape
        weights = math.prod(pair("window", self.window)) * channels * (self.features // self.groups)
        parameters = weights + self.use_bias * self.features
        return Layer(name="conv", output=output, parameters=parameters, macs=math.prod(size) * weights)


class DepthwiseConv(linen.Module):
    """`depthwise_conv2d` with a kernel `[kh, kw, 1, multiplier channels]` and a bias."""

    window: Pair
    multiplier: int = 1
    stride: Pair = 1
    padding: ConvPadding = "SAME"
    dilation: Pair = 1
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., h, w, channels] to [..., h_out, w_out, multiplier channels]."""
        features = self.multiplier * x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (*pair("window", self.window), 1, features))
        bias = self.param("bias", self.bias_init, (features,)) if self.use_bias else None
        return depthwise_conv2d(x, kernel, bias, stride=self.stride, padding=self.padding, dilation=self.dilation)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return conv_cost(self, shape, features=self.multiplier * shape[-1], groups=shape[-1])


class SeparableConv(linen.Module):
    """`separable_conv2d` with kernels "depthwise" and "pointwise" and one bias."""

    features: int
    window: Pair
    multiplier: int = 1
    stride: Pair = 1
    padding: ConvPadding = "SAME"
    dilation: Pair = 1
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., h, w, channels] to [..., h_out, w_out, features]."""
        between = self.multiplier * x.shape[-1]
        depthwise = self.param("depthwise", self.kernel_init, (*pair("window", self.window), 1, between))
        pointwise = self.param("pointwise", self.kernel_init, (1, 1, between, self.features))
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        return separable_conv2d(
            x, depthwise, pointwise, bias, stride=self.stride, padding=self.padding, dilation=self.dilation
        )

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        between = DepthwiseConv(
            self.window, self.multiplier, self.stride, self.padding, self.dilation, use_bias=False, parent=None
        )
        first = between.cost(shape)
        return _in_a_row(first, conv_layer(first.output, features=self.features, kernel=1, bias=self.use_bias))


class SpatiallySeparableConv(linen.Module):
    """`spatially_separable_conv2d` with kernels "column" and "row", `between` channels in between, and one bias.

    `between` is `features` unless given.
    """

    features: int
    window: Pair
    between: int | None = None
    stride: Pair = 1
    padding: ConvPadding = "SAME"
    dilation: Pair = 1
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., h, w, channels] to [..., h_out, w_out, features]."""
        kh, kw = pair("window", self.window)
        between = self.features if self.between is None else self.between
        column = self.param("column", self.kernel_init, (kh, 1, x.shape[-1], between))
        row = self.param("row", self.kernel_init, (1, kw, between, self.features))
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        return spatially_separable_conv2d(
            x, column, row, bias, stride=self.stride, padding=self.padding, dilation=self.dilation
        )

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        rows, columns = slide(
            shape[:-1], window=self.window, stride=self.stride, padding=self.padding, dilation=self.dilation
        )
        between = self.features if self.between is None else self.between
        weights = rows.window * shape[-1]
        first = (rows.output, columns.size, between)
        column = Layer(name="column", output=first, parameters=weights * between, macs=math.prod(first) * weights)
        weights = columns.window * between
        output = (rows.output, columns.output, self.features)
        parameters = (weights + self.use_bias) * self.features
        return _in_a_row(
            column, Layer(name="row", output=output, parameters=parameters, macs=math.prod(output) * weights)
        )


class LocallyConnected(linen.Module):
    """`locally_connected2d` with a kernel `[h_out, w_out, kh, kw, channels, features]` and a bias at each position.

    The kernel of each position starts as that of a convolution, with a key of its own.
    """

    features: int
    window: Pair
    stride: Pair = 1
    padding: ConvPadding = "VALID"
    dilation: Pair = 1
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., h, w, channels] to [..., h_out, w_out, features]."""
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        rows, columns = slide(x.shape[-3:-1], window=self.window, **options)
        places = (rows.output, columns.output)
        shape = (rows.window, columns.window, x.shape[-1], self.features)
        kernel = self.param("kernel", _at_each(places, self.kernel_init), shape)
        bias = self.param("bias", self.bias_init, (*places, self.features)) if self.use_bias else None
        return locally_connected2d(x, kernel, bias, **options)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        shared = conv_cost(self, shape, features=self.features)
        return dataclasses.replace(shared, parameters=shared.parameters * math.prod(shared.output[:-1]))


def _in_a_row(first: Layer, second: Layer) -> Layer:
    """Two convolutions as one."""
    return dataclasses.replace(
        second, name="conv", parameters=first.parameters + second.parameters, macs=first.macs + second.macs
    )


def _at_each(places: tuple[int, int], init: Initializer) -> Initializer:
    def independent(key: Array, shape: tuple[int, ...]) -> Array:
        return jax.vmap(jax.vmap(lambda key: init(key, shape)))(jax.random.split(key, places))

    return independent
