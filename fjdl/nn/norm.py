"""Normalization layers.

Parameters and statistics are float32; a layer returns the dtype of its input.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from fjdl.analysis import Layer, norm_layer
from fjdl.functional import initializers
from fjdl.functional.batch_norm import (
    AxisName,
    batch_norm,
    batch_norm_inference,
    batch_norm_of_product,
    running_moments,
)
from fjdl.functional.layer_norm import group_norm, instance_norm, layer_norm, rms_norm
from fjdl.functional.linear import linear
from fjdl.functional.local_response import local_response_norm
from fjdl.typing import Array

Initializer = initializers.Initializer

_ONES, _ZEROS = initializers.ones(), initializers.zeros()


class BatchNorm(linen.Module):
    """`batch_norm` in training, which moves the running statistics of "batch_stats"; `batch_norm_inference` otherwise.

    `momentum` and `unbiased` are those of `running_moments`. Under `jit` the batch is the whole batch, on however many
    devices; `axis_name` is for `shard_map` and `vmap`. With `groups` above 1 each of so many equal parts of the batch,
    in its order, is normalized by statistics of its own, and the running ones take their means (Hoffer et al. 2017,
    arXiv:1705.08741): with one part on each device, none waits for the others' sums.

    On accelerators 16-bit data give their statistics in one pass about the running mean, see `batch_norm`; with
    `two_passes` in two, as everywhere else.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True
    unbiased: bool = False
    axis_name: AxisName = None
    groups: int = 1
    two_passes: bool = False
    scale_init: Initializer = _ONES

    @linen.compact
    def __call__(self, x: Array, *, train: bool, mask: Array | None = None, kernel: Array | None = None) -> Array:
        """[..., channels] to the same shape; `mask` says which examples enter the statistics.

        With a `kernel` [inputs, channels] it is [..., inputs] whose product with it is normalized.
        """
        channels = x.shape[-1] if kernel is None else kernel.shape[-1]
        scale = self.param("scale", self.scale_init, (channels,)) if self.use_scale else None
        bias = self.param("bias", _ZEROS, (channels,)) if self.use_bias else None
        mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,), jnp.float32)
        variance = self.variable("batch_stats", "var", jnp.ones, (channels,), jnp.float32)
        if not train:
            x = x if kernel is None else linear(x, kernel)
            return batch_norm_inference(x, mean.value, variance.value, scale, bias, epsilon=self.epsilon)
        shift = None if self.two_passes else mean.value
        y, moments = self._normalized(x, kernel, scale, bias, mask=mask, shift=shift)
        if not self.is_initializing():
            mean.value, variance.value = running_moments(
                mean.value, variance.value, *moments, momentum=self.momentum, unbiased=self.unbiased
            )
        return y

    def _normalized(
        self, x: Array, kernel: Array | None, scale: Any, bias: Any, *, mask: Array | None, shift: Array | None
    ) -> Any:
        """The result, and its moments: of each group, then their means."""
        options = {"shift": shift, "epsilon": self.epsilon, "axis_name": self.axis_name}

        def of_part(x: Array, mask: Array | None) -> Any:
            if kernel is None:
                return batch_norm(x, scale, bias, mask=mask, **options)
            return batch_norm_of_product(x, kernel, scale, bias, mask=mask, **options)

        if self.groups == 1:
            return of_part(x, mask)
        if x.shape[0] % self.groups:
            raise ValueError(f"groups must divide the batch, got groups={self.groups} and a batch of {x.shape[0]}")
        parts = jax.tree.map(lambda a: a.reshape(self.groups, a.shape[0] // self.groups, *a.shape[1:]), (x, mask))
        y, moments = jax.vmap(of_part)(*parts)
        return y.reshape(x.shape[0], *y.shape[2:]), jax.tree.map(lambda m: jnp.mean(m, axis=0), moments)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return norm_layer(shape, scale=self.use_scale, bias=self.use_bias)


class LayerNorm(linen.Module):
    """`layer_norm` with a scale of ones and a bias of zeros."""

    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., features] to the same shape."""
        return layer_norm(x, *_scale_and_bias(self, x), epsilon=self.epsilon)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return norm_layer(shape, scale=self.use_scale, bias=self.use_bias)


class GroupNorm(linen.Module):
    """`group_norm` with a scale of ones and a bias of zeros."""

    groups: int = 32
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[n, ..., channels] to the same shape."""
        return group_norm(x, *_scale_and_bias(self, x), groups=self.groups, epsilon=self.epsilon)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return norm_layer(shape, scale=self.use_scale, bias=self.use_bias)


class InstanceNorm(linen.Module):
    """`instance_norm` with a scale of ones and a bias of zeros."""

    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[n, ..., channels] to the same shape."""
        return instance_norm(x, *_scale_and_bias(self, x), epsilon=self.epsilon)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return norm_layer(shape, scale=self.use_scale, bias=self.use_bias)


class RMSNorm(linen.Module):
    """`rms_norm` with a scale of ones."""

    epsilon: float = 1e-6
    use_scale: bool = True

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., features] to the same shape."""
        scale = self.param("scale", _ONES, (x.shape[-1],)) if self.use_scale else None
        return rms_norm(x, scale, epsilon=self.epsilon)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return norm_layer(shape, scale=self.use_scale, bias=False)


class LocalResponseNorm(linen.Module):
    """`local_response_norm`, which has no parameters."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0
    average: bool = False

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., channels] to the same shape."""
        return local_response_norm(x, size=self.size, alpha=self.alpha, beta=self.beta, k=self.k, average=self.average)


def _scale_and_bias(module: LayerNorm | GroupNorm | InstanceNorm, x: Array) -> tuple[Array | None, Array | None]:
    shape = (x.shape[-1],)
    scale = module.param("scale", _ONES, shape) if module.use_scale else None
    bias = module.param("bias", _ZEROS, shape) if module.use_bias else None
    return scale, bias
