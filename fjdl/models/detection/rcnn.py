"""R-CNN (Girshick et al. 2014, arXiv:1311.2524): each region cut out of the image, through a network of its own."""

from collections.abc import Mapping

import jax.numpy as jnp
from flax import linen

from fjdl.checks import at_least
from fjdl.functional.pool.roi import roi_align
from fjdl.models.detection.heads import Part
from fjdl.models.detection.two_stage import BoxHead
from fjdl.nn import features
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed


class RCNN(linen.Module):
    """The scores of classes and a box for each class, for regions that are given, each brought to one size by itself.

    Inputs and outputs are those of `FastRCNN`. A region becomes an image of `size` x `size` pixels whose outer
    `context` pixels lie around it (16 of 227 in the paper, §A), and what is beyond the image is 0; the features
    `name_of_features` of the backbone go through `BoxHead`. The backbone runs once for each region, and computes again
    what regions share: `FastRCNN` computes it once. The paper's classifier is a support vector machine of each class
    on the features, and its boxes are regressed from them by least squares, both fitted behind the training; here both
    are layers that `train.tasks.two_stage_detection` trains. Raises `ValueError` for a `context` of half the size.
    """

    classes: int
    backbone: Part
    name_of_features: str
    size: int = 224
    context: int = 16
    hidden: int = 1024

    @linen.compact
    def __call__(self, inputs: Mapping[str, Array], *, train: bool = False) -> dict[str, Array]:
        """Images [n, h, w, channels] and regions [n, k, 4] to classes and boxes of each region."""
        image, boxes, valid = inputs["image"], widened(inputs["proposals"]), inputs["valid"].astype(bool)
        cut = region_images(image, boxes, size=self.size, context=self.context)
        n, k = boxes.shape[:2]
        each = cut.reshape(n * k, *cut.shape[2:])
        x = features(self.backbone(name="backbone"), each, names=(self.name_of_features,), train=train)
        regions = x[self.name_of_features]
        scores, moves = BoxHead(self.classes, self.hidden, name="boxes")(regions.reshape(n, k, *regions.shape[1:]))
        return {"proposals": boxes, "valid": valid, "logits": scores, "offsets": moves}


@typed
def region_images(
    image: Float[Array, "n h w c"], boxes: Float[Array, "n k 4"], *, size: int, context: int
) -> Float[Array, "n k size size c"]:
    """Each region, widened so that it fills all but the outer `context` pixels, as an image of `size` x `size`."""
    at_least(0, context=context)
    if 2 * context >= size:
        raise ValueError(f"context must be less than half the size of {size}, got {context}")
    low, high = boxes[..., :2], boxes[..., 2:]
    around = (high - low) * context / (size - 2 * context)
    return roi_align(image, jnp.concatenate([low - around, high + around], axis=-1), size=size)
