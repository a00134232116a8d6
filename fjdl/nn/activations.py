"""Activations with parameters of their own."""

import dataclasses

import jax
from flax import linen

from fjdl.analysis import Layer, dense_layer
from fjdl.functional import initializers
from fjdl.functional.rectifiers import maxout, prelu
from fjdl.typing import Array

Initializer = initializers.Initializer


class PReLU(linen.Module):
    """`prelu` with one slope, or with one for each channel, the last axis; He et al. 2015 start from 0.25."""

    per_channel: bool = False
    slope_init: Initializer = initializers.constant(0.25)

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., channels] to the same shape."""
        return prelu(x, self.param("slope", self.slope_init, x.shape[-1:] if self.per_channel else ()))

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return Layer(name="prelu", output=shape, parameters=shape[-1] if self.per_channel else 1)


class Maxout(linen.Module):
    """`maxout` of `pieces` affine maps, each drawn as a dense kernel `[inputs, features]`."""

    features: int
    pieces: int
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., inputs] to [..., features]."""
        kernel = self.param("kernel", self._kernel, x.shape[-1])
        bias = self.param("bias", self.bias_init, (self.features, self.pieces)) if self.use_bias else None
        return maxout(x, kernel, bias)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`: that of all pieces."""
        affine = dense_layer(shape, features=self.features * self.pieces, bias=self.use_bias)
        return dataclasses.replace(affine, output=(*shape[:-1], self.features))

    def _kernel(self, key: Array, inputs: int) -> Array:
        keys = jax.random.split(key, self.pieces)
        return jax.vmap(lambda key: self.kernel_init(key, (inputs, self.features)), out_axes=-1)(keys)
