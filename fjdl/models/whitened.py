"""A network that learns CIFAR-10 fast: whitened patches, then three groups of two convolutions.

Jordan 2024, arXiv:2404.00498 and github.com/KellerJordan/cifar10-airbench, after Page 2018 and Balsam 2023.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl.analysis import Layer
from fjdl.functional import initializers
from fjdl.functional.gates import gelu
from fjdl.lowering.bias import add_bias
from fjdl.nn import BatchNorm, Conv, Dense, Flatten, MaxPool
from fjdl.typing import Array, PRNGKey

Norm = partial(BatchNorm, momentum=0.6, epsilon=1e-12, use_scale=False)


class WhitenedNet(linen.Module):
    """1,971,352 parameters for the 24 whitened channels of 2x2 patches of 32 x 32 colour images.

    The input are the outputs of a convolution with the kernel of `patch_whitening`, which does not learn; its bias
    does. The first filters of each convolution start as the identity. Logits are divided by the last width.
    """

    classes: int = 10
    widths: tuple[int, ...] = (64, 256, 256)
    activation: Callable[[Array], Array] = gelu

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, 31, 31, 24] to [n, classes]."""
        x = self.activation(Bias(name="whitening")(x))
        for number, width in enumerate(self.widths, start=1):
            x = WhitenedGroup(width, activation=self.activation, name=f"group{number}")(x, train=train)
        x = Flatten(name="flatten")(MaxPool(3, name="pool")(x))
        head = Dense(self.classes, use_bias=False, kernel_init=initializers.normal(1.0), name="logits")
        return head(x) * (1 / x.shape[-1])


class WhitenedGroup(linen.Module):
    """Convolution, max pool, batch norm, activation, and once more without the pool; batch norm has no scale."""

    features: int
    activation: Callable[[Array], Array] = gelu

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h / 2, w / 2, features]."""
        for number in (1, 2):
            x = Conv(self.features, 3, padding=1, use_bias=False, kernel_init=_identity_first, name=f"conv{number}")(x)
            x = MaxPool(2, name="pool")(x) if number == 1 else x
            x = self.activation(Norm(name=f"norm{number}")(x, train=train))
        return x


class Bias(linen.Module):
    """A number for each channel, added to it."""

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """[..., channels] to the same shape."""
        bias = self.param("bias", initializers.zeros(), (x.shape[-1],))
        return add_bias(x, bias)

    def cost(self, shape: tuple[int, ...]) -> Layer:
        """What the layer costs for one example of `shape`."""
        return Layer(name="bias", output=shape, parameters=shape[-1])


def _identity_first(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Outputs that repeat the inputs, as many as there are, then uniform ones of variance 1 / (3 inputs)."""
    kernel = initializers.variance_scaling(1 / 3, distribution="uniform")(key, shape, dtype)
    repeated = min(shape[-2:])
    return kernel.at[..., :repeated].set(initializers.dirac()(key, (*shape[:-1], repeated), dtype))
