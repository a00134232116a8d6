"""Scores of detections, boxes with a class and a score, beside the objects that are there.

May import `fjdl.metrics.base`, `fjdl.metrics.state`, `fjdl.metrics.ranking`, `fjdl.boxes` and floor 0.

>>> from fjdl import metrics
>>> box = np.array([[0.0, 0.0, 10.0, 10.0]])
>>> found = [{"boxes": box, "scores": np.array([0.9]), "labels": np.array([0])}]
>>> truth = [{"boxes": box, "labels": np.array([0])}]
>>> summary = metrics.coco_summary(metrics.coco_evaluation(found, truth))
>>> summary.ap, summary.ap_large
(np.float64(1.0), np.float64(-1.0))
"""

_FILES = (
    "batch_matching", "batch_scenes", "coco", "coco_streaming", "matching", "scenes", "streamed", "voc",
    "voc_streaming",
)  # fmt: skip


def __dir__() -> list[str]:
    return list(_FILES)
