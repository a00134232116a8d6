"""ZFNet (Zeiler & Fergus 2013, arXiv:1311.2901): AlexNet with a finer stem and without groups."""

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.models.variant import variant
from fjdl.nn import Conv, Dense, Dropout, Flatten, LocalResponseNorm, MaxPool
from fjdl.typing import Array

_GEOMETRY = ((7, 2, 1), (5, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1))  # window, stride, padding of each convolution
_POOLED = (1, 2, 5)  # convolutions before a pool


class ZFNet(linen.Module):
    """ZFNet of the competition, 512/1024/512: 107,627,624 parameters and 2,476,704,896 MACs on 224 x 224 images.

    The first two convolutions have stride 2; their 3 x 3 pools of stride 2 count a last window that sticks out, so that
    the images have 110, 55, 26, 13 and 6 rows. Response normalization comes after these two pools, with AlexNet's
    numbers. Dropout after the hidden dense layers; kernels start from N(0, 0.01²) and biases from 0.
    """

    classes: int = 1000
    widths: tuple[int, int, int, int, int] = (96, 256, 512, 1024, 512)
    hidden: int = 4096
    response_norm: bool = True
    dropout: float = 0.5
    kernel_init: initializers.Initializer = initializers.normal(0.01)

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        for number, (width, geometry) in enumerate(zip(self.widths, _GEOMETRY, strict=True), start=1):
            x = relu(Conv(width, *geometry, kernel_init=self.kernel_init, name=f"conv{number}")(x))
            if number in _POOLED:
                x = MaxPool(window=3, stride=2, ceil_mode=number <= 2, name=f"pool{number}")(x)
            if self.response_norm and number <= 2:
                x = LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0, name=f"norm{number}")(x)
        x = Flatten(name="flatten")(x)
        for number in (6, 7):
            x = relu(Dense(self.hidden, kernel_init=self.kernel_init, name=f"fc{number}")(x))
            x = Dropout(self.dropout, name=f"dropout{number}")(x, train=train)
        return Dense(self.classes, kernel_init=self.kernel_init, name="logits")(x)


# The network of the paper's figure 3, 384/384/256: 62,357,608 parameters.
zfnet_paper = variant(ZFNet, widths=(96, 256, 384, 384, 256))
