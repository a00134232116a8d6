"""Geometry of axis-parallel boxes in corner format, `[x0, y0, x1, y1]`.

May import floor 0 alone.

>>> from fjdl import boxes
>>> a, b = jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([1.0, 0.0, 3.0, 2.0])
>>> boxes.intersection(a, b), boxes.iou(a, b)
(Array(2., dtype=float32), Array(0.33333334, dtype=float32))
>>> boxes.to_center_size(b)
Array([2., 1., 2., 2.], dtype=float32)
"""

from typing import TYPE_CHECKING

from fjdl.boxes.convert import clip_to_image, from_center_size, from_corner_size, to_center_size, to_corner_size
from fjdl.boxes.overlap import (
    area,
    ciou,
    diou,
    giou,
    intersection,
    iou,
    pairwise_ciou,
    pairwise_diou,
    pairwise_giou,
    pairwise_iou,
)
from fjdl.names import other_names

# second names, see `fjdl.names`
box_area = area
box_iou = pairwise_iou
complete_box_iou = pairwise_ciou
distance_box_iou = pairwise_diou
generalized_box_iou = pairwise_giou

__all__ = [
    "area", "box_area", "box_iou", "ciou", "clip_to_image", "complete_box_iou", "diou", "distance_box_iou",
    "from_center_size", "from_corner_size", "generalized_box_iou", "giou", "intersection", "iou", "pairwise_ciou",
    "pairwise_diou", "pairwise_giou", "pairwise_iou", "to_center_size", "to_corner_size",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
