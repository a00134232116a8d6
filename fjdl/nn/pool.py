"""Pooling and flattening as layers, so that a network's table has a row for each."""

import math

import jax.numpy as jnp
from flax import linen

from fjdl.analysis import Layer, flatten_layer, global_pool_layer, pool_layer
from fjdl.functional import initializers
from fjdl.functional.activations import tanh
from fjdl.functional.encoding import flatten
from fjdl.functional.pool.adaptive import (
    adaptive_average_pool1d,
    adaptive_average_pool2d,
    adaptive_average_pool3d,
)
from fjdl.functional.pool.fixed import average_pool2d, global_average_pool2d, max_pool2d
from fjdl.functional.pool.time import weighted_over_time
from fjdl.geometry import Padding, Pair
from fjdl.lengths import length_mask
from fjdl.nn.layers import Dense
from fjdl.typing import Array

Initializer = initializers.Initializer


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


class AttentionOverTime(linen.Module):
    """`weighted_over_time` by scores of a hidden layer of so many tanh `units` (Yang et al. 2016, NAACL)."""

    units: int
    kernel_init: Initializer = initializers.glorot_uniform()

    @linen.compact
    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        """[n, t, channels] to [n, channels], of the first `lengths` steps or of all."""
        if lengths is not None:
            x = jnp.where(length_mask(lengths, steps=x.shape[1])[..., None], x, 0)
        hidden = tanh(Dense(self.units, kernel_init=self.kernel_init, name="hidden")(x))
        scores = Dense(1, use_bias=False, kernel_init=self.kernel_init, name="score")(hidden)
        return weighted_over_time(x, scores[..., 0], lengths)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape` [t, channels]."""
        t, channels = shape
        parameters = (channels + 2) * self.units
        return Layer(
            name="pool", output=(channels,), parameters=parameters, macs=t * ((channels + 1) * self.units + channels)
        )


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
