"""Multilayer perceptron."""

from collections.abc import Callable
from functools import partial

from flax import linen

from fjdl.analysis import Layer, dense_layer, flatten_layer, stack
from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.nn import Dense, Dropout
from fjdl.typing import Array


class MLP(linen.Module):
    """Dense layers of the `hidden` widths, each followed by the activation and dropout, then the logits."""

    hidden: tuple[int, ...]
    classes: int
    activation: Callable[[Array], Array] = relu
    dropout: float = 0.0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, ...] to [n, classes]."""
        x = x.reshape(x.shape[0], -1)
        for number, width in enumerate(self.hidden, start=1):
            x = self.activation(Dense(width, kernel_init=initializers.he_normal(), name=f"hidden{number}")(x))
            x = Dropout(self.dropout)(x, train=train)
        return Dense(self.classes, kernel_init=initializers.glorot_uniform(), name="logits")(x)


def mlp_layers(shape: tuple[int, ...], *, hidden: tuple[int, ...], classes: int) -> list[Layer]:
    """The layers with their costs for one example of `shape`."""
    dense = [partial(dense_layer, features=width, name=f"hidden{i}") for i, width in enumerate(hidden, start=1)]
    return stack(shape, [flatten_layer, *dense, partial(dense_layer, features=classes, name="logits")])
