"""RetinaNet (Lin et al. 2017, arXiv:1708.02002) and a small SSD (Liu et al. 2016): one stage with anchors."""

from functools import partial

import jax.numpy as jnp
from flax import linen

from fjdl.models.detection.heads import ConvHead, Part, over_levels, rare
from fjdl.models.detection.pyramid import FPN
from fjdl.models.resnet import resnet50
from fjdl.models.variant import variant
from fjdl.nn import BatchNorm, ConvNorm, features
from fjdl.typing import Array


class RetinaNet(linen.Module):
    """Scores of classes and offsets of boxes for the anchors of a feature pyramid, by two heads that its levels share.

    `names` are the features of the backbone, from fine to coarse, and `extra` coarser levels follow: 3 to 7 of
    `resnet50` unless given, with strides 8 to 128 and nine anchors a cell. The outputs are `{"logits": [n, a, classes],
    "offsets": [n, a, 4]}` for all a anchors, level after level, by rows, columns and anchors of a cell, as
    `retinanet_anchors` orders them; logits are those of sigmoids.
    """

    classes: int
    backbone: Part = resnet50
    names: tuple[str, ...] = ("stage2", "stage3", "stage4")
    extra: int = 2
    anchors: int = 9
    width: int = 256
    convs: int = 4
    norm: Part | None = None
    prior: float = 0.01

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> dict[str, Array]:
        """[n, h, w, channels] to logits and offsets for each anchor."""
        found = features(self.backbone(name="backbone"), x, names=self.names, train=train)
        levels = FPN(self.width, self.extra, name="pyramid")([found[name] for name in self.names])
        head = partial(ConvHead, self.anchors, width=self.width, convs=self.convs, norm=self.norm)
        scores, boxes = head(outputs=self.classes, bias=rare(self.prior), name="scores"), head(outputs=4, name="boxes")
        return {
            "logits": over_levels(scores, levels, train=train),
            "offsets": over_levels(boxes, levels, train=train),
        }


retinanet_resnet50 = variant(RetinaNet)


class SSD(linen.Module):
    """Scores of classes and offsets of boxes for the anchors of several layers, each with 3 x 3 heads of its own.

    A small one for CPUs: each of `widths` is two 3 x 3 convolutions with batch norm and ReLU, the first with stride 2;
    those from `first` on have heads. Outputs are those of `RetinaNet`, for the anchors of `ssd_anchors`. In place of
    the softmax over classes and background with mined negatives of the paper, logits are those of sigmoids, for the
    focal loss.
    """

    classes: int
    widths: tuple[int, ...] = (16, 32, 64, 128, 128)
    first: int = 2
    anchors: int = 6
    norm: Part = BatchNorm
    prior: float = 0.01

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> dict[str, Array]:
        """[n, h, w, channels] to logits and offsets for each anchor."""
        scores, offsets = [], []
        for level, width in enumerate(self.widths):
            x = ConvNorm(width, 3, stride=2, name=f"down{level}")(x, train=train)
            x = ConvNorm(width, 3, name=f"conv{level}")(x, train=train)
            if level >= self.first:
                head = partial(ConvHead, self.anchors, convs=0)
                scores.append(head(outputs=self.classes, bias=rare(self.prior), name=f"scores{level}")(x, train=train))
                offsets.append(head(outputs=4, name=f"boxes{level}")(x, train=train))
        return {"logits": jnp.concatenate(scores, axis=1), "offsets": jnp.concatenate(offsets, axis=1)}
