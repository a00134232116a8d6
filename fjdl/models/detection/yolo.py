"""YOLO's grid (Redmon et al. 2016, arXiv:1506.02640): each cell predicts the boxes whose centres lie in it."""

import jax.numpy as jnp
from flax import linen
from jax.typing import DTypeLike

from fjdl.functional import initializers
from fjdl.models.detection.heads import Part, rare
from fjdl.nn import Conv, ConvNorm, features
from fjdl.typing import Array, PRNGKey


class YOLO(linen.Module):
    """For each cell of a grid and each of its anchors: four numbers of a box, the logit of an object, and of classes.

    The grid is that of the features `name_of_features` of a network; a 3 x 3 convolution of `width` with batch norm and
    ReLU stands before the last 1 x 1 one. The output is [n, rows, columns, anchors, 5 + classes]. Version 2 and later
    (arXiv:1612.08242) have anchors with classes of their own, as here; in version 1 the boxes of a cell share classes.
    """

    classes: int
    backbone: Part
    name_of_features: str
    anchors: int = 3
    width: int = 128
    prior: float = 0.01

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, rows, columns, anchors, 5 + classes]."""
        name = self.name_of_features
        y = features(self.backbone(name="backbone"), x, names=(name,), train=train)[name]
        y = ConvNorm(self.width, 3, name="neck")(y, train=train)
        outputs = 5 + self.classes
        y = Conv(self.anchors * outputs, 1, kernel_init=initializers.normal(0.01), bias_init=self._bias, name="last")(y)
        return y.reshape(*y.shape[:3], self.anchors, outputs)

    def _bias(self, key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
        """Zeros, but that objects are rare at first."""
        start = initializers.zeros()(key, shape, dtype).reshape(self.anchors, -1)
        return start.at[:, 4].set(rare(self.prior)).reshape(shape)
