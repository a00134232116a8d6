"""AlexNet (Krizhevsky, Sutskever & Hinton 2012): five convolutions, overlapping pools, three dense layers."""

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.models.variant import variant
from fjdl.nn import AdaptiveAveragePool, Conv, Dense, Dropout, Flatten, LocalResponseNorm, MaxPool
from fjdl.transfer.layout import Layout
from fjdl.typing import Array

Initializer = initializers.Initializer

_POOLED = (1, 2, 5)  # convolutions before a pool
_LIFTED = (2, 4, 5)  # convolutions of two groups, whose biases start at 1 so that ReLUs are alive


class AlexNet(linen.Module):
    """AlexNet in one tower: 62,378,344 parameters and 1,135,256,096 MACs on 227 x 227 images.

    Response normalization after the ReLUs of the first two convolutions, 3 x 3 pools of stride 2, dropout after the
    hidden dense layers. Kernels start from N(0, 0.01²), biases from `bias` in convolutions 2, 4, 5 and hidden dense
    layers, else from 0. `window`, `stride` and `padding` are those of the first convolution; where `padding` is 2, it
    takes 224 x 224 images. `pool_to` averages the last features to that many rows and columns, for images of other
    sizes; `dropout_first` moves each dropout before its dense layer.
    """

    classes: int = 1000
    widths: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    hidden: int = 4096
    groups: int = 1
    window: int = 11
    stride: int = 4
    padding: int = 0
    response_norm: bool = True
    pool_to: int | None = None
    dropout: float = 0.5
    dropout_first: bool = False
    kernel_init: Initializer = initializers.normal(0.01)
    bias: float = 1.0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        for number, width in enumerate(self.widths, start=1):
            x = relu(self._conv(number, width)(x))
            if self.response_norm and number <= 2:
                x = LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2.0, name=f"norm{number}")(x)
            if number in _POOLED:
                x = MaxPool(window=3, stride=2, name=f"pool{number}")(x)
        if self.pool_to is not None:
            x = AdaptiveAveragePool(self.pool_to, name="pool")(x)
        x = Flatten(name="flatten")(x)
        for number in (6, 7):
            dense = Dense(
                self.hidden,
                kernel_init=self.kernel_init,
                bias_init=initializers.constant(self.bias),
                name=f"fc{number}",
            )
            drop = Dropout(self.dropout, name=f"dropout{number}")
            x = relu(dense(drop(x, train=train))) if self.dropout_first else drop(relu(dense(x)), train=train)
        return Dense(self.classes, kernel_init=self.kernel_init, name="logits")(x)

    def _conv(self, number: int, width: int) -> Conv:
        window, stride, padding = {1: (self.window, self.stride, self.padding), 2: (5, 1, 2)}.get(number, (3, 1, 1))
        lifted = number in _LIFTED
        return Conv(
            width,
            window=window,
            stride=stride,
            padding=padding,
            groups=self.groups if lifted else 1,
            kernel_init=self.kernel_init,
            bias_init=initializers.constant(self.bias if lifted else 0.0),
            name=f"conv{number}",
        )


# The paper's two groups, one for each of its GPUs: 60,965,224 parameters and 724,406,816 MACs.
alexnet_paper = variant(AlexNet, groups=2)

# For 32 x 32 images: a 5 x 5 stem of stride 1 and smaller dense layers. It starts from He's kernels and biases of 0: in
# narrow networks N(0, 0.01²) lets no signal through.
alexnet_cifar = variant(
    AlexNet,
    classes=10,
    window=5,
    stride=1,
    padding=2,
    hidden=1024,
    kernel_init=initializers.he_normal(),
    bias=0.0,
)

# The narrower network of torchvision (Krizhevsky 2014, arXiv:1404.5997) for 224 x 224 images, with its distribution of
# initial kernels; its biases start from that of fan-in too, ours from 0. 61,100,840 parameters.
alexnet_torchvision = variant(
    AlexNet,
    widths=(64, 192, 384, 256, 256),
    padding=2,
    response_norm=False,
    pool_to=6,
    dropout_first=True,
    kernel_init=initializers.variance_scaling(1 / 3, distribution="uniform"),
    bias=0.0,
)

ALEXNET_TORCHVISION = Layout(
    renames=(
        ("conv1", "features.0"),
        ("conv2", "features.3"),
        ("conv3", "features.6"),
        ("conv4", "features.8"),
        ("conv5", "features.10"),
        ("fc6", "classifier.1"),
        ("fc7", "classifier.4"),
        ("logits", "classifier.6"),
    ),
    flattened={"fc6": (6, 6)},
)
