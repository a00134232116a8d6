"""Logistic regression: one affine map from all inputs to the classes' logits."""

from flax import linen

from fjdl.functional import initializers
from fjdl.nn import Dense, Flatten
from fjdl.typing import Array


class LogisticRegression(linen.Module):
    """Logits of softmax regression; it starts at zero, where all classes are equally likely."""

    classes: int

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, ...] to [n, classes]."""
        del train
        return Dense(self.classes, kernel_init=initializers.zeros(), name="logits")(Flatten(name="flatten")(x))
