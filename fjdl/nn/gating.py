"""Layers that rescale each channel: by a function of the image, or by a number that is learned."""

from collections.abc import Callable

from flax import linen

from fjdl.analysis import Layer
from fjdl.functional import initializers
from fjdl.functional.activations import relu, sigmoid
from fjdl.nn.layers import Conv
from fjdl.nn.pool import GlobalAveragePool
from fjdl.typing import Array

Initializer = initializers.Initializer


class SqueezeExcitation(linen.Module):
    """`x · sigmoid(expand(activation(reduce(mean of x over the image))))`, a gate from 0 to 1 for each channel.

    `reduce` to `features` channels and `expand` back are affine, as 1 x 1 convolutions. Hu et al. 2018,
    arXiv:1709.01507. Equals `torchvision.ops.SqueezeExcitation`.
    """

    features: int
    activation: Callable[[Array], Array] = relu
    kernel_init: Initializer = initializers.he_normal()

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[n, h, w, channels] to the same shape."""
        mean = GlobalAveragePool(name="pool")(x)[:, None, None]
        squeezed = self.activation(Conv(self.features, 1, kernel_init=self.kernel_init, name="reduce")(mean))
        return x * sigmoid(Conv(x.shape[-1], 1, kernel_init=self.kernel_init, name="expand")(squeezed))


class LayerScale(linen.Module):
    """`gamma · x` with a number `gamma` for each channel, which starts at `value`.

    At the end of a residual branch, a small value lets a deep network start near the identity: Touvron et al. 2021,
    arXiv:2103.17239.
    """

    value: float = 1e-6

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., channels] to the same shape."""
        gamma = self.param("gamma", initializers.constant(self.value), x.shape[-1:])
        return x * gamma.astype(x.dtype).reshape((1,) * (x.ndim - 1) + gamma.shape)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`; its products are left out, as those of normalization are."""
        return Layer(name="scale", output=shape, parameters=shape[-1])
