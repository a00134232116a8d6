"""LeNet-5 (LeCun et al. 1998) in the textbooks' simplified form: conv 6, pool, conv 16, pool, 120, 84, classes."""

from collections.abc import Callable
from functools import partial

from flax import linen

from fjdl.analysis import Layer, conv_layer, dense_layer, flatten_layer, pool_layer, stack
from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.functional.pool import average_pool2d
from fjdl.nn import Conv, Dense, Dropout
from fjdl.typing import Array


class LeNet5(linen.Module):
    """61,706 parameters on 28 x 28 grey images.

    The paper's C3 connects only some maps and its pools are trained; here C3 is a full convolution and pools average.
    `padding` is that of the two convolutions; (2, 2) suits images of 8 x 8.
    """

    classes: int = 10
    activation: Callable[[Array], Array] = relu
    pool: Callable[..., Array] = average_pool2d
    padding: tuple[int, int] = (2, 0)
    dropout: float = 0.0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        for name, features, padding in zip(("conv1", "conv2"), (6, 16), self.padding, strict=True):
            conv = Conv(features, window=5, padding=padding, kernel_init=initializers.he_normal(), name=name)
            x = self.pool(self.activation(conv(x)), window=2)
        x = x.reshape(x.shape[0], -1)
        for name, width in (("dense1", 120), ("dense2", 84)):
            x = self.activation(Dense(width, kernel_init=initializers.he_normal(), name=name)(x))
            x = Dropout(self.dropout)(x, train=train)
        return Dense(self.classes, kernel_init=initializers.glorot_uniform(), name="logits")(x)


def lenet5_layers(
    shape: tuple[int, int, int] = (28, 28, 1), *, classes: int = 10, padding: tuple[int, int] = (2, 0)
) -> list[Layer]:
    """The layers with their costs for one image of `shape`."""
    return stack(
        shape,
        [
            partial(conv_layer, features=6, kernel=5, padding=padding[0], name="conv1"),
            partial(pool_layer, window=2, name="pool1"),
            partial(conv_layer, features=16, kernel=5, padding=padding[1], name="conv2"),
            partial(pool_layer, window=2, name="pool2"),
            flatten_layer,
            partial(dense_layer, features=120, name="dense1"),
            partial(dense_layer, features=84, name="dense2"),
            partial(dense_layer, features=classes, name="logits"),
        ],
    )
