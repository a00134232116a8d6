"""Scores of a class for every pixel: overlap of regions and of their boundaries, their distance, and segments.

May import `fjdl.metrics.base`, `fjdl.metrics.state`, `fjdl.metrics.classification` and floor 0.

>>> from fjdl import metrics
>>> guess, truth = jnp.array([[[0, 1], [1, 1]]]), jnp.array([[[0, 1], [0, 1]]])
>>> matrix = metrics.measure(metrics.segmentation_matrix(2), guess, truth)
>>> metrics.pixel_accuracy(matrix), metrics.iou(matrix)
(Array(0.75, dtype=float32), Array([0.5      , 0.6666667], dtype=float32))
"""

_FILES = ("boundary", "overlap", "panoptic", "surface")


def __dir__() -> list[str]:
    return list(_FILES)
