"""Geometry of axis-parallel boxes in corner format, `[x0, y0, x1, y1]`.

May import floor 0 and `fjdl.lowering`.

>>> from fjdl import boxes
>>> a, b = jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([1.0, 0.0, 3.0, 2.0])
>>> boxes.intersection(a, b), boxes.iou(a, b)
(Array(2., dtype=float32), Array(0.33333334, dtype=float32))
>>> boxes.to_center_size(b)
Array([2., 1., 2., 2.], dtype=float32)
"""

from typing import TYPE_CHECKING

from fjdl.boxes.anchors import (
    anchor_shapes,
    grid_anchors,
    octave_sizes,
    pyramid_anchors,
    pyramid_levels,
    ssd_scales,
    ssd_shapes,
)
from fjdl.boxes.assign import assign
from fjdl.boxes.codec import (
    decode,
    decode_in_cell,
    decode_in_cell_by_shape,
    encode,
    encode_in_cell,
    encode_in_cell_by_shape,
    grid_cells,
)
from fjdl.boxes.convert import (
    clip_to_image,
    from_center_size,
    from_corner_size,
    large_boxes,
    mask_boxes,
    to_center_size,
    to_corner_size,
)
from fjdl.boxes.match import (
    BACKGROUND,
    BETWEEN,
    hard_negatives,
    match_bipartite,
    match_by_threshold,
    sample_balanced,
)
from fjdl.boxes.nms import Detections, Kept, class_detections, detections, nms, soft_nms_gaussian, soft_nms_linear
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
from fjdl.boxes.windows import cell_regions, number_of_windows, window_boxes, window_crops
from fjdl.names import other_names

# second names, see `fjdl.names`
batched_nms = nms
box_area = area
box_iou = pairwise_iou
complete_box_iou = pairwise_ciou
distance_box_iou = pairwise_diou
generalized_box_iou = pairwise_giou
non_max_suppression = nms

__all__ = [
    "BACKGROUND", "BETWEEN", "Detections", "Kept", "anchor_shapes", "area", "assign", "batched_nms", "box_area",
    "box_iou", "cell_regions", "ciou", "class_detections", "clip_to_image", "complete_box_iou", "decode",
    "decode_in_cell", "decode_in_cell_by_shape", "detections", "diou", "distance_box_iou", "encode", "encode_in_cell",
    "encode_in_cell_by_shape", "from_center_size", "from_corner_size", "generalized_box_iou", "giou", "grid_anchors",
    "grid_cells", "hard_negatives", "intersection", "iou", "large_boxes", "mask_boxes", "match_bipartite",
    "match_by_threshold", "nms", "non_max_suppression", "number_of_windows", "octave_sizes", "pairwise_ciou",
    "pairwise_diou", "pairwise_giou", "pairwise_iou", "pyramid_anchors", "pyramid_levels", "sample_balanced",
    "soft_nms_gaussian", "soft_nms_linear", "ssd_scales", "ssd_shapes", "to_center_size", "to_corner_size",
    "window_boxes", "window_crops",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
