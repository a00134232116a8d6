"""What networks of segmentation share: convolutions with or without norms, and larger images."""

from collections.abc import Callable
from functools import partial

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.geometry import ConvPadding
from fjdl.nn import BatchNorm, Conv, ConvTranspose
from fjdl.typing import Array

Part = Callable[..., linen.Module]
Size = tuple[int, int]


def size_of(x: Array) -> Size:
    """Rows and columns of images [n, h, w, channels]."""
    return x.shape[1], x.shape[2]


class ConvBlock(linen.Module):
    """`convs` convolutions of `window` pixels, each with ReLU; `norm` makes what stands between, in place of biases.

    All have the `dilation`.
    """

    features: int
    convs: int = 2
    window: int = 3
    padding: ConvPadding = "SAME"
    norm: Part | None = BatchNorm
    dilation: int = 1

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, features], or smaller by `convs dilation (window - 1)` with "VALID"."""
        layer = partial(
            Conv,
            self.features,
            self.window,
            padding=self.padding,
            dilation=self.dilation,
            use_bias=self.norm is None,
            kernel_init=initializers.he_normal(),
        )
        for i in range(1, self.convs + 1):
            x = layer(name=f"conv{i}")(x)
            x = relu(x if self.norm is None else self.norm(name=f"norm{i}")(x, train=train))
        return x


class Upscore(linen.Module):
    """A transposed convolution that makes images `factor` times as large, and starts as bilinear interpolation.

    Its kernel has 2 factor × 2 factor entries for each pair of channels, all 0 at first but for those of a channel to
    itself. Long et al. 2015, arXiv:1411.4038. Raises `ValueError` for an odd factor, and for a size that pooling by
    `factor` would not map to that of `x`.
    """

    factor: int

    @linen.compact
    def __call__(self, x: Array, size: Size) -> Array:
        """[n, h, w, channels] to [n, *size, channels]; `size` is `factor` times [h, w], or up to factor - 1 more."""
        if self.factor % 2:
            raise ValueError(f"factor must be even, got {self.factor}")
        rows, columns = (new - self.factor * old for new, old in zip(size, size_of(x), strict=True))
        if not 0 <= min(rows, columns) <= max(rows, columns) < self.factor:
            raise ValueError(f"size must be that of {self.factor} x {size_of(x)} or less than one more, got {size}")
        return ConvTranspose(
            x.shape[-1],
            2 * self.factor,
            stride=self.factor,
            padding=self.factor // 2,
            output_padding=(rows, columns),
            use_bias=False,
            kernel_init=initializers.bilinear(),
            name="conv",
        )(x)
