"""Networks that find one thing in an image, or points: class and box, landmarks."""

from flax import linen

from fjdl.functional.activations import sigmoid
from fjdl.models.detection.heads import Part
from fjdl.nn import AdaptiveAveragePool, Dense, Flatten, features
from fjdl.typing import Array


class Localizer(linen.Module):
    """The class of an image and the box of its object, from the features `name_of_features` of a network.

    The features are pooled to `pooled` x `pooled` cells, so that places remain, and two dense layers stand behind. The
    outputs are `{"logits": [n, classes], "box": [n, 4]}`, the box as centre and size in parts of the image, in (0, 1).
    Sermanet et al. 2013, arXiv:1312.6229.
    """

    classes: int
    backbone: Part
    name_of_features: str
    pooled: int = 4

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> dict[str, Array]:
        """[n, h, w, channels] to class and box."""
        y = pooled_features(self, x, train=train)
        return {
            "logits": Dense(self.classes, name="logits")(y),
            "box": sigmoid(Dense(4, name="box")(y)),
        }


class Landmarks(linen.Module):
    """The places of `points` landmarks, such as those of a face or a pose, in parts of the image: [n, points, 2].

    As `Localizer`, with x and y of each point in place of class and box, which may lie outside of the image.
    """

    points: int
    backbone: Part
    name_of_features: str
    pooled: int = 4

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, points, 2]."""
        y = pooled_features(self, x, train=train)
        return Dense(2 * self.points, name="points")(y).reshape(y.shape[0], self.points, 2)


def pooled_features(network: Localizer | Landmarks, x: Array, *, train: bool) -> Array:
    """The network's features, pooled and flattened: [n, pooled² channels]."""
    name = network.name_of_features
    y = features(network.backbone(name="backbone"), x, names=(name,), train=train)[name]
    return Flatten(name="flatten")(AdaptiveAveragePool(network.pooled, name="pool")(y))
