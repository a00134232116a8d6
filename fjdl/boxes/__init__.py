"""Geometry of axis-parallel boxes in corner format, `[x0, y0, x1, y1]`."""

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

__all__ = [
    "area", "ciou", "clip_to_image", "diou", "from_center_size", "from_corner_size", "giou", "intersection", "iou",
    "pairwise_ciou", "pairwise_diou", "pairwise_giou", "pairwise_iou", "to_center_size", "to_corner_size",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
