"""Detectors of two stages: Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) on a feature pyramid, and Fast R-CNN.

Fast R-CNN (Girshick 2015, arXiv:1504.08083) is the second stage alone, with regions that are given.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen
from jax import lax

from fjdl.boxes import anchor_shapes, clip_to_image, decode, large_boxes, nms, pyramid_anchors
from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.functional.pool.roi import pyramid_roi_align, roi_align
from fjdl.models.detection.heads import Part
from fjdl.models.detection.pyramid import FPN
from fjdl.models.resnet import resnet50
from fjdl.models.variant import variant
from fjdl.nn import Conv, Dense, features
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, typed


class FasterRCNN(linen.Module):
    """Proposals of a first stage on a feature pyramid, and for each the scores of classes and a box for each class.

    `names` are features of the backbone from fine to coarse, the finest with `stride` and each further one with twice
    as much; a level of every other cell of the last follows for the first stage alone. The anchors of a cell have one
    of `sizes`, in pixels, for each of these levels, and all `ratios`; `faster_rcnn_anchors` gives all of them. The
    `candidates` of highest scores on each level that remain after `nms` at an IoU of 0.7 on each level, at most
    `proposals` of them by falling score and in training `training_proposals`, are cut off at the image and go on to the
    second stage, without a gradient.

    Inputs are images [n, h, w, channels], or `{"image", "boxes", "valid"}` with the objects [n, m, 4] and [n, m] of
    each image: in training the valid ones are proposals too, behind the others; corners that come in bfloat16 are less
    exact. The outputs are `{"region_logits": [n,
    a], "region_offsets": [n, a, 4], "proposals": [n, k, 4], "valid": [n, k], "logits": [n, k, classes + 1], "offsets":
    [n, k, classes + 1, 4]}`. The last class is the background, whose offsets mean nothing.

    Equals torchvision's `fasterrcnn_resnet50_fpn` in structure: with 90 classes there are its 41,755,286 parameters and
    those of the norms, which are frozen there. There regions of levels are aligned half a cell to the right and below.
    """

    classes: int
    backbone: Part = resnet50
    names: tuple[str, ...] = ("stage1", "stage2", "stage3", "stage4")
    stride: int = 4
    width: int = 256
    sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    candidates: int = 1000
    proposals: int = 1000
    training_proposals: int = 512
    pooled: int = 7
    hidden: int = 1024
    canonical_size: float = 224.0

    @linen.compact
    def __call__(self, inputs: Array | Mapping[str, Array], *, train: bool = False) -> dict[str, Array]:
        """Images, or images and their objects, to what both stages give."""
        given = inputs if isinstance(inputs, Mapping) else {"image": inputs}
        image = given["image"]
        found = features(self.backbone(name="backbone"), image, names=self.names, train=train)
        levels = FPN(self.width, name="pyramid")([found[name] for name in self.names])
        sizes = [(x.shape[1], x.shape[2]) for x in (*levels, levels[-1][:, ::2, ::2])]
        logits, offsets = RegionHead(len(self.ratios), self.width, name="regions")([*levels, levels[-1][:, ::2, ::2]])
        boxes, valid = region_proposals(
            logits,
            offsets,
            region_anchors(self, sizes),
            counts=[rows * columns * len(self.ratios) for rows, columns in sizes],
            image_size=(image.shape[1], image.shape[2]),
            candidates=self.candidates,
            most=self.training_proposals if train else self.proposals,
        )
        if train and "boxes" in given:
            boxes = jnp.concatenate([boxes, widened(given["boxes"])], axis=1)
            valid = jnp.concatenate([valid, given["valid"].astype(bool)], axis=1)
        cut = pyramid_roi_align(
            levels,
            boxes,
            size=self.pooled,
            strides=pyramid_strides(self.stride, levels=len(levels)),
            canonical_size=self.canonical_size,
            lowest=self.stride.bit_length() - 1,
        )
        scores, moves = BoxHead(self.classes, self.hidden, name="boxes")(cut)
        first = {"region_logits": logits, "region_offsets": offsets}
        return {**first, "proposals": boxes, "valid": valid, "logits": scores, "offsets": moves}


faster_rcnn_resnet50 = variant(FasterRCNN)


class FastRCNN(linen.Module):
    """The scores of classes and a box for each class, for regions that are given, from one map of features.

    Inputs are `{"image": [n, h, w, channels], "proposals": [n, k, 4], "valid": [n, k]}`, regions as corners in pixels;
    the outputs are those of the second stage of `FasterRCNN`. The features `name_of_features` of the backbone have the
    `stride`. `pool` cuts regions out: `functional.roi_align`, or `functional.roi_pool` as in the paper.
    """

    classes: int
    backbone: Part
    name_of_features: str
    stride: int
    pool: Callable[..., Array] = roi_align
    pooled: int = 7
    hidden: int = 1024

    @linen.compact
    def __call__(self, inputs: Mapping[str, Array], *, train: bool = False) -> dict[str, Array]:
        """Images and regions to classes and boxes of each region."""
        image, boxes, valid = inputs["image"], widened(inputs["proposals"]), inputs["valid"].astype(bool)
        name = self.name_of_features
        x = features(self.backbone(name="backbone"), image, names=(name,), train=train)[name]
        cut = self.pool(x, boxes, size=self.pooled, scale=1 / self.stride)
        scores, moves = BoxHead(self.classes, self.hidden, name="boxes")(cut)
        return {"proposals": boxes, "valid": valid, "logits": scores, "offsets": moves}


class RegionHead(linen.Module):
    """The first stage's head: for each anchor of each level the logit of an object, and the offsets of its box.

    A 3 x 3 convolution of `width` with ReLU and two 1 x 1 ones, which all levels share. Kernels start as normal numbers
    with deviation 0.01.
    """

    anchors: int
    width: int = 256

    @linen.compact
    def __call__(self, levels: Sequence[Array]) -> tuple[Array, Array]:
        """Levels of [n, h, w, channels] to [n, a] and [n, a, 4], by levels, rows, columns and anchors of a cell."""
        start = initializers.normal(0.01)
        shared = Conv(self.width, 3, kernel_init=start, name="conv")
        heads = [
            Conv(self.anchors * numbers, 1, kernel_init=start, name=name)
            for name, numbers in (("scores", 1), ("boxes", 4))
        ]
        maps = [relu(shared(x)) for x in levels]
        logits = [heads[0](x).reshape(x.shape[0], -1) for x in maps]
        offsets = [heads[1](x).reshape(x.shape[0], -1, 4) for x in maps]
        return jnp.concatenate(logits, axis=1), jnp.concatenate(offsets, axis=1)


class BoxHead(linen.Module):
    """The second stage's head: two dense layers of `hidden` with ReLU, scores, and offsets for each class."""

    classes: int
    hidden: int = 1024

    @linen.compact
    def __call__(self, regions: Array) -> tuple[Array, Array]:
        """[n, k, rows, columns, channels] to [n, k, classes + 1] and [n, k, classes + 1, 4]."""
        x = regions.reshape(*regions.shape[:2], -1)
        for i in range(2):
            x = relu(Dense(self.hidden, kernel_init=initializers.he_normal(), name=f"hidden{i}")(x))
        scores = Dense(self.classes + 1, kernel_init=initializers.normal(0.01), name="scores")(x)
        offsets = Dense(4 * (self.classes + 1), kernel_init=initializers.normal(0.001), name="boxes")(x)
        return scores, offsets.reshape(*offsets.shape[:2], self.classes + 1, 4)


@typed
def region_proposals(
    logits: Float[Array, "n a"],
    offsets: Float[Array, "n a 4"],
    anchors: Float[Array, "a 4"],
    *,
    counts: Sequence[int],
    image_size: tuple[int, int],
    candidates: int,
    most: int,
    iou_threshold: float = 0.7,
    smallest: float = 1e-3,
) -> tuple[Float[Array, "n most 4"], Bool[Array, "n most"]]:
    """The best boxes of a first stage in each image, by falling score, and which of them are there.

    `counts` are the anchors of each level; of the boxes of each only the `candidates` of the highest scores count.
    Boxes are cut off at the image of (height, width), those with a side below `smallest` are dropped, and boxes of one
    level suppress one another. Equals `filter_proposals` of torchvision's `RegionProposalNetwork` without a threshold
    of the score. Nothing has a gradient.
    """
    logits, offsets = lax.stop_gradient((widened(logits), widened(offsets)))
    each = jnp.broadcast_to(anchors, (logits.shape[0], *anchors.shape))
    boxes = clip_to_image(decode(offsets, each), height=image_size[0], width=image_size[1])
    chosen, start = [], 0
    for count in counts:
        places = lax.top_k(logits[:, start : start + count], min(candidates, count))[1]
        chosen.append(start + places)
        start += count
    labels = [jnp.full(places.shape, level, jnp.int32) for level, places in enumerate(chosen)]
    keep = partial(nms, most=most, iou_threshold=iou_threshold)

    def of_image(boxes: Array, scores: Array, places: Array, labels: Array) -> tuple[Array, Array]:
        boxes = boxes[places]
        kept = keep(boxes, scores[places], labels, large_boxes(boxes, smallest=smallest))
        return jnp.where(kept.valid[:, None], boxes[kept.indices], 0), kept.valid

    return jax.vmap(of_image)(boxes, logits, jnp.concatenate(chosen, axis=1), jnp.concatenate(labels, axis=1))


def region_anchors(network: Any, sizes: Sequence[tuple[int, int]]) -> Array:
    """The anchors of the first stage of a `FasterRCNN` whose levels have these rows and columns.

    Raises `ValueError` for another number of sizes of anchors than of levels.
    """
    if len(network.sizes) != len(sizes):
        raise ValueError(f"sizes must be one for each of the {len(sizes)} levels, got {len(network.sizes)}")
    shapes = [anchor_shapes([size], ratios=network.ratios) for size in network.sizes]
    return pyramid_anchors(shapes, sizes=sizes, strides=pyramid_strides(network.stride, levels=len(sizes)))


def pyramid_strides(finest: int, *, levels: int) -> list[int]:
    """The strides of the levels of a pyramid, of which each is twice the one before."""
    return [finest * 2**level for level in range(levels)]
