"""Logistic regression: one affine map from all inputs to the classes' logits."""

from functools import partial

from flax import linen

from fjdl.analysis import Layer, dense_layer, flatten_layer, stack
from fjdl.functional import initializers
from fjdl.nn import Dense
from fjdl.typing import Array


class LogisticRegression(linen.Module):
    """Logits of softmax regression; it starts at zero, where all classes are equally likely."""

    classes: int

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, ...] to [n, classes]."""
        del train
        return Dense(self.classes, kernel_init=initializers.zeros(), name="logits")(x.reshape(x.shape[0], -1))


def logistic_regression_layers(shape: tuple[int, ...], *, classes: int) -> list[Layer]:
    """The layers with their costs for one example of `shape`."""
    return stack(shape, [flatten_layer, partial(dense_layer, features=classes, name="logits")])
