"""Multilayer perceptron."""

from collections.abc import Callable

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.nn import Dense, Dropout, Flatten
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
        x = Flatten(name="flatten")(x)
        for number, width in enumerate(self.hidden, start=1):
            x = self.activation(Dense(width, kernel_init=initializers.he_normal(), name=f"hidden{number}")(x))
            x = Dropout(self.dropout)(x, train=train)
        return Dense(self.classes, kernel_init=initializers.glorot_uniform(), name="logits")(x)
