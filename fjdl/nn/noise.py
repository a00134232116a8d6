"""Layers that add noise in training, with keys of Flax's stream "dropout", and change nothing otherwise."""

from flax import linen

from fjdl.analysis import Layer, dense_layer
from fjdl.checks import known
from fjdl.functional import initializers
from fjdl.functional.dropout import classic_dropout, classic_dropout_inference, spatial_dropout, stochastic_depth
from fjdl.functional.linear import linear
from fjdl.functional.noise import drop_connect, gaussian_dropout, gaussian_noise
from fjdl.typing import Array

Initializer = initializers.Initializer


class ClassicDropout(linen.Module):
    """`classic_dropout` in training and `classic_dropout_inference`, a product with `1 - rate`, otherwise."""

    rate: float

    @linen.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """`x` with entries dropped where `train`."""
        if not train or known(self.rate) == 0:
            return classic_dropout_inference(x, rate=self.rate)
        return classic_dropout(self.make_rng("dropout"), x, rate=self.rate)


class SpatialDropout(linen.Module):
    """`spatial_dropout` of whole channels in training; the identity otherwise."""

    rate: float

    @linen.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """[n, ..., channels] to the same shape."""
        if not train or known(self.rate) == 0:
            return x
        return spatial_dropout(self.make_rng("dropout"), x, rate=self.rate)


class StochasticDepth(linen.Module):
    """`stochastic_depth` of a residual branch in training; the identity otherwise."""

    rate: float

    @linen.compact
    def __call__(self, branch: Array, *, train: bool) -> Array:
        """[n, ...] to the same shape."""
        if not train or known(self.rate) == 0:
            return branch
        return stochastic_depth(self.make_rng("dropout"), branch, rate=self.rate)


class GaussianNoise(linen.Module):
    """`gaussian_noise` in training; the identity otherwise."""

    deviation: float

    @linen.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """`x` with noise added where `train`."""
        if not train or self.deviation == 0:
            return x
        return gaussian_noise(self.make_rng("dropout"), x, deviation=self.deviation)


class GaussianDropout(linen.Module):
    """`gaussian_dropout` in training; the identity otherwise."""

    rate: float

    @linen.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """`x` times noise around 1 where `train`."""
        if not train or known(self.rate) == 0:
            return x
        return gaussian_dropout(self.make_rng("dropout"), x, rate=self.rate)


class DropConnectDense(linen.Module):
    """`drop_connect` with the parameters of `Dense` in training; `linear` otherwise."""

    features: int
    rate: float
    use_bias: bool = True
    kernel_init: Initializer = initializers.lecun_normal()
    bias_init: Initializer = initializers.zeros()

    @linen.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """[..., inputs] to [..., features]."""
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", self.bias_init, (self.features,)) if self.use_bias else None
        if not train or known(self.rate) == 0:
            return linear(x, kernel, bias)
        return drop_connect(self.make_rng("dropout"), x, kernel, bias, rate=self.rate)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return dense_layer(shape, features=self.features, bias=self.use_bias)
