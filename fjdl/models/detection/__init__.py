"""Networks of detection: what is where in an image, as numbers for anchors that `fjdl.boxes` turns into boxes.

May import Flax, floor 0, `fjdl.boxes`, `fjdl.nn`, `fjdl.functional`, `fjdl.losses`, `fjdl.lowering`, `fjdl.analysis`,
`fjdl.models` for its backbones and, for the names of published weights, `fjdl.transfer`.

>>> from fjdl import models, nn
>>> model, images = nn.pure(models.SSD(classes=3, widths=(4, 4, 4))), jnp.ones((2, 32, 32, 3))
>>> params, stats = model.init(jax.random.key(0), images)
>>> outputs, _ = model.apply(params, stats, images)
>>> {name: output.shape for name, output in outputs.items()}
{'logits': (2, 96, 3), 'offsets': (2, 96, 4)}
"""

from fjdl.models.detection.anchor_detectors import SSD, RetinaNet, retinanet_resnet50
from fjdl.models.detection.anchors import faster_rcnn_anchors, retinanet_anchors, ssd_anchors
from fjdl.models.detection.heads import ConvHead
from fjdl.models.detection.pyramid import FPN
from fjdl.models.detection.rcnn import RCNN
from fjdl.models.detection.single import Landmarks, Localizer
from fjdl.models.detection.two_stage import FasterRCNN, FastRCNN, RegionHead, faster_rcnn_resnet50
from fjdl.models.detection.yolo import YOLO

__all__ = [
    "FPN", "RCNN", "SSD", "YOLO", "ConvHead", "FastRCNN", "FasterRCNN", "Landmarks", "Localizer", "RegionHead",
    "RetinaNet", "faster_rcnn_anchors", "faster_rcnn_resnet50", "retinanet_anchors", "retinanet_resnet50",
    "ssd_anchors",
]  # fmt: skip
