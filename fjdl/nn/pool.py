"""Pooling and flattening as layers, so that a network's table has a row for each."""

import math

from flax import linen

from fjdl.analysis import Layer, flatten_layer, global_pool_layer, pool_layer
from fjdl.functional.encoding import flatten
from fjdl.functional.pool.adaptive import (
    adaptive_average_pool1d,
    adaptive_average_pool2d,
    adaptive_average_pool3d,
)
from fjdl.functional.pool.fixed import average_pool2d, global_average_pool2d, max_pool2d
from fjdl.geometry import Padding, Pair
from fjdl.typing import Array


class MaxPool(linen.Module):
    """`max_pool2d`; the stride is the window unless given."""

    window: Pair
    stride: Pair | None = None
    padding: Padding = "VALID"
    ceil_mode: bool = False

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., h, w, channels] to [..., h_out, w_out, channels]."""
        return max_pool2d(x, window=self.window, stride=self.stride, padding=self.padding, ceil_mode=self.ceil_mode)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return _pool_cost(self, shape)


class AveragePool(linen.Module):
    """`average_pool2d`; the stride is the window unless given."""

    window: Pair
    stride: Pair | None = None
    padding: Padding = "VALID"
    ceil_mode: bool = False
    count_include_pad: bool = True

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., h, w, channels] to [..., h_out, w_out, channels]."""
        return average_pool2d(
            x,
            window=self.window,
            stride=self.stride,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
        )

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return _pool_cost(self, shape)


class AdaptiveAveragePool(linen.Module):
    """`adaptive_average_pool2d` to `size` rows and columns, which changes nothing where there are as many."""

    size: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., h, w, channels] to [..., size, size, channels]."""
        return adaptive_average_pool2d(x, size=self.size)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`: an operation for each entry of each bin."""
        return _adaptive_cost(self.size, shape)


class AdaptiveAveragePool1D(linen.Module):
    """`adaptive_average_pool1d` to `size` steps."""

    size: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., t, channels] to [..., size, channels]."""
        return adaptive_average_pool1d(x, size=self.size)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`: an operation for each entry of each bin."""
        return _adaptive_cost(self.size, shape)


class AdaptiveAveragePool3D(linen.Module):
    """`adaptive_average_pool3d` to `size` slices, rows and columns."""

    size: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., d, h, w, channels] to [..., size, size, size, channels]."""
        return adaptive_average_pool3d(x, size=self.size)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`: an operation for each entry of each bin."""
        return _adaptive_cost(self.size, shape)


class GlobalAveragePool(linen.Module):
    """`global_average_pool2d`: the mean of each channel over the image."""

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., h, w, channels] to [..., channels]."""
        return global_average_pool2d(x)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return global_pool_layer(shape)


class Flatten(linen.Module):
    """`flatten`: all entries of an example in one axis, rows first and channels last."""

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[n, ...] to [n, entries]."""
        return flatten(x)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return flatten_layer(shape)


def _pool_cost(pool: MaxPool | AveragePool, shape: tuple[int, ...]) -> Layer:
    return pool_layer(shape, window=pool.window, stride=pool.stride, padding=pool.padding, ceil_mode=pool.ceil_mode)


def _adaptive_cost(size: int, shape: tuple[int, ...]) -> Layer:
    *image, channels = shape
    entries = math.prod(sum(-(-(i + 1) * n // size) - i * n // size for i in range(size)) for n in image)
    return Layer(name="pool", output=(size,) * len(image) + (channels,), pool_operations=entries * channels)
