"""One table of everything public with a way to build its inputs; `test_laws.py` holds each law once over it.

A new public function of floors 1 and 2 is one new row in the table of its part.
"""

from tests.cases import (
    activations,
    attention,
    augment,
    augment_color,
    autodiff,
    boxes,
    convolution,
    decoding,
    detection,
    embedding,
    functional,
    initializers,
    interpret,
    losses,
    losses_adaptive,
    losses_peers,
    losses_reduced,
    losses_structured,
    metrics,
    metrics_detection,
    metrics_deviance,
    metrics_label_ranking,
    metrics_probabilities,
    metrics_ranking,
    metrics_regression,
    metrics_retrieval,
    metrics_scores,
    metrics_segmentation,
    metrics_text,
    norm,
    pooling,
    preprocessing,
    quant,
    recurrent,
    schedules,
    search,
    similarity,
)
from tests.cases.case import Case

PARTS = (
    functional, convolution, pooling, activations, initializers, norm, preprocessing, similarity, boxes, losses,
    losses_adaptive, losses_peers, losses_reduced, losses_structured, metrics, metrics_scores, metrics_probabilities,
    metrics_ranking, metrics_regression, metrics_deviance, metrics_label_ranking, metrics_segmentation,
    metrics_detection, metrics_text, augment, augment_color, autodiff, search, schedules, quant, recurrent, decoding,
    attention, embedding, interpret, metrics_retrieval, detection,
)  # fmt: skip
CASES: list[Case] = [case for part in PARTS for case in part.CASES]
