"""The anchors of detectors, from the size of the image: those of every cell of the maps that a network makes of it."""

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import linen

from fjdl.boxes import anchor_shapes, octave_sizes, pyramid_anchors, ssd_scales, ssd_shapes
from fjdl.models.detection.anchor_detectors import SSD, RetinaNet
from fjdl.models.detection.heads import Part
from fjdl.models.detection.two_stage import FasterRCNN, pyramid_strides, region_anchors
from fjdl.nn import features
from fjdl.typing import Array

Size = tuple[int, int]


def retinanet_anchors(
    network: RetinaNet,
    image_size: Size,
    *,
    stride: int = 8,
    size: float = 4.0,
    octaves: int = 3,
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
) -> Array:
    """The anchors `[a, 4]` of a `RetinaNet` for images of (height, width), in the order of its outputs.

    `stride` is that of the finest level in pixels, and each further one has twice as much. On a level the sizes are
    `size` strides and on to below twice as much in `octaves` steps, each with all `ratios` of height and width: 32 to
    812 pixels by default (Lin et al. 2017, arXiv:1708.02002, §4). Nothing of the network runs. Raises `ValueError`
    unless there are as many shapes as the network has anchors in a cell.

    >>> from fjdl import models
    >>> models.retinanet_anchors(models.RetinaNet(3, models.resnet18), (64, 64)).shape
    (774, 4)
    """
    _require_anchors(network.anchors, octaves * len(ratios))
    sizes = level_sizes(network, image_size, extra=network.extra)
    strides = pyramid_strides(stride, levels=len(sizes))
    with jax.ensure_compile_time_eval():
        shapes = [anchor_shapes(octave_sizes(size * step, octaves=octaves), ratios=ratios) for step in strides]
        return pyramid_anchors(shapes, sizes=sizes, strides=strides)


def ssd_anchors(
    network: SSD,
    image_size: Size,
    *,
    least: float = 0.1,
    largest: float = 0.6,
    ratios: Sequence[float] = (2.0, 3.0),
) -> Array:
    """The anchors `[a, 4]` of an `SSD` for images of (height, width), in the order of its outputs.

    The scales of its levels go evenly from `least` to `largest`, as parts of the shorter side of the image; shapes are
    those of `boxes.ssd_shapes`. Raises `ValueError` unless there are as many as the network has anchors in a cell.

    >>> from fjdl import models
    >>> models.ssd_anchors(models.SSD(3), (64, 96)).shape
    (756, 4)
    """
    _require_anchors(network.anchors, 2 + 2 * len(ratios))
    strides = [2 ** (level + 1) for level in range(network.first, len(network.widths))]
    sizes = [(-(-image_size[0] // step), -(-image_size[1] // step)) for step in strides]
    side = min(image_size)
    scales = [side * scale for scale in ssd_scales(len(strides), least=least, largest=largest)]
    with jax.ensure_compile_time_eval():
        shapes = [ssd_shapes(scale, after, ratios=ratios) for scale, after in pairwise(scales)]
        return pyramid_anchors(shapes, sizes=sizes, strides=strides)


def faster_rcnn_anchors(network: FasterRCNN, image_size: Size) -> Array:
    """The anchors `[a, 4]` of the first stage of a `FasterRCNN` for images of (height, width).

    >>> from fjdl import models
    >>> models.faster_rcnn_anchors(models.FasterRCNN(3, models.resnet18), (64, 64)).shape
    (1023, 4)
    """
    with jax.ensure_compile_time_eval():
        return region_anchors(network, level_sizes(network, image_size, extra=1))


def level_sizes(network: RetinaNet | FasterRCNN, image_size: Size, *, extra: int) -> list[Size]:
    """Rows and columns of the levels of a network with a pyramid, the `extra` coarser ones too."""
    x = jax.ShapeDtypeStruct((1, *image_size, 3), jnp.float32)
    maps, _ = jax.eval_shape(_Maps(network.backbone, network.names).init_with_output, jax.random.key(0), x)
    sizes = [(y.shape[1], y.shape[2]) for y in maps]
    for _ in range(extra):
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


class _Maps(linen.Module):
    """What the backbone of a detector gives."""

    backbone: Part
    names: tuple[str, ...]

    @linen.compact
    def __call__(self, x: Array) -> list[Array]:
        found = features(self.backbone(name="backbone"), x, names=self.names, train=False)
        return [found[name] for name in self.names]


def _require_anchors(anchors: int, shapes: int) -> None:
    if anchors != shapes:
        raise ValueError(f"anchors of a cell must be as many as shapes, got {anchors} and {shapes}")
