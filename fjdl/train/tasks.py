"""Losses and metrics of common tasks, as a recipe takes them: functions of `(outputs, batch)`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fjdl import metrics
from fjdl.losses import softmax_cross_entropy
from fjdl.metrics import Metric
from fjdl.train.recipe import Batch
from fjdl.typing import Array


class Task(NamedTuple):
    """What is minimized and what is measured."""

    loss: Callable[[Any, Batch], Array]
    metrics: Mapping[str, Metric]


def classification(classes: int, *, smoothing: float = 0.0) -> Task:
    """Logits `[n, classes]` against `batch["label"]`: cross entropy in nats, accuracy and confusion matrix."""

    def loss(logits: Array, batch: Batch) -> Array:
        return softmax_cross_entropy(logits, batch["label"], smoothing=smoothing)

    return Task(
        loss,
        {
            "accuracy": metrics.on(metrics.accuracy(), lambda logits, batch: (logits, batch["label"])),
            "confusion": metrics.on(
                metrics.confusion_matrix(classes),
                lambda logits, batch: (metrics.predicted_class(logits), batch["label"]),
            ),
        },
    )
