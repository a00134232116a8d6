"""Convolution, normalization and activation as one layer, and blocks of layers in a row."""

from collections.abc import Callable

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.geometry import pair
from fjdl.nn.layers import Conv
from fjdl.nn.norm import BatchNorm
from fjdl.typing import Array

Initializer = initializers.Initializer


class ConvNorm(linen.Module):
    """A convolution without bias, `BatchNorm` and an activation.

    A `window` of odd size is padded by half of it on every side, so that stride 1 keeps the size of the image, and
    stride 2 halves it, rounded up: `padding=(window - 1) // 2` of PyTorch. `momentum` is that of `BatchNorm`.
    """

    features: int
    window: int = 1
    stride: int = 1
    groups: int = 1
    activation: Callable[[Array], Array] = relu
    momentum: float = 0.9
    epsilon: float = 1e-5
    kernel_init: Initializer = initializers.he_normal()

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h_out, w_out, features]."""
        x = Conv(
            self.features,
            self.window,
            stride=self.stride,
            padding=(self.window - 1) // 2,
            groups=self.groups,
            use_bias=False,
            kernel_init=self.kernel_init,
            name="conv",
        )(x)
        x = BatchNorm(momentum=self.momentum, epsilon=self.epsilon, name="norm")(x, train=train)
        return self.activation(x)


def conv_then_norm(x: Array, conv: Conv, norm: linen.Module, *, train: bool) -> Array:
    """`norm(conv(x))`, in training as `batch_norm_of_product` where that pays.

    That is where `norm` is a `BatchNorm` and `conv` has windows of one pixel, no bias, and no fewer features than
    channels.
    """
    pixels = pair("window", conv.window) == (1, 1) and conv.groups == 1 and not conv.use_bias
    whole = isinstance(norm, BatchNorm) and norm.groups == 1 and not norm.two_passes
    if train and pixels and whole and conv.features >= x.shape[-1] and x.dtype.itemsize == 2:
        return conv(x, product=lambda x, kernel: norm(x, train=True, kernel=kernel))
    return norm(conv(x), train=train)


class Stage(linen.Module):
    """Blocks one after the other, named block0, block1 and so on; each entry of `blocks` makes one, given its name."""

    blocks: tuple[Callable[..., linen.Module], ...]

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """The output of the last block."""
        for number, block in enumerate(self.blocks):
            x = block(name=f"block{number}")(x, train=train)
        return x
