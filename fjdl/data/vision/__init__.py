"""Images with boxes or masks: formats, the size that models take, and data sets.

A data set or a layout of folders is a function in a file of its name that returns `Splits`: `voc.voc`,
`voc.voc_segmentation`, `coco.coco`, `coco.coco_segmentation`, `yolo.yolo`, `box_tables.box_tables`,
`masks.mask_folder`, `bccd.bccd`, `camvid.camvid`, `isbi.isbi_membrane`, `omniglot.omniglot` and
`digit_scenes.digit_scenes`. Boxes are corners `[x0, y0, x1, y1]` in pixels, where pixel (0, 0) covers [0, 1] × [0, 1];
the class 255 of a mask is void. What they are made of is here. May import floor 0 and `fjdl.data`.

>>> from fjdl.data import vision
>>> vision.fit_boxes(np.array([[0, 0, 100, 50]]), (200, 400), (100, 100))
array([[ 0. , 25. , 25. , 37.5]], dtype=float32)
>>> vision.decode_run_lengths({"size": [2, 3], "counts": [1, 2, 3]})
array([[0, 1, 0],
       [1, 0, 0]], dtype=uint8)
"""

from fjdl.data.vision.coco import CocoSplits, class_mask
from fjdl.data.vision.coco_files import CocoFile, CocoImage, coco_results, read_coco, write_coco_results
from fjdl.data.vision.fitting import Placement, fit_boxes, fit_image, fit_mask, placement, unfit_boxes
from fjdl.data.vision.images import fitted_reader, read_image
from fjdl.data.vision.masks import read_mask, segment_source
from fjdl.data.vision.objects import Objects, gather, object_source
from fjdl.data.vision.omniglot import Drawings, read_drawings
from fjdl.data.vision.parts import in_memory, object_splits, single_objects, three_parts
from fjdl.data.vision.polygons import polygon_mask
from fjdl.data.vision.run_lengths import compressed, decode_run_lengths, encode_run_lengths, expanded
from fjdl.data.vision.voc import read_voc
from fjdl.data.vision.xml_files import read_xml
from fjdl.data.vision.yolo import read_classes, read_yolo

__all__ = [
    "CocoFile", "CocoImage", "CocoSplits", "Drawings", "Objects", "Placement", "class_mask", "coco_results",
    "compressed", "decode_run_lengths", "encode_run_lengths", "expanded", "fit_boxes", "fit_image", "fit_mask",
    "fitted_reader", "gather", "in_memory", "object_source", "object_splits", "placement", "polygon_mask",
    "read_classes", "read_coco", "read_drawings", "read_image", "read_mask", "read_voc", "read_xml", "read_yolo",
    "segment_source", "single_objects", "three_parts", "unfit_boxes", "write_coco_results",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
