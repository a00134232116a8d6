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


def classification(classes: int, *, smoothing: float = 0.0, auxiliary: Mapping[str, float] | None = None) -> Task:
    """Logits `[n, classes]` against `batch["label"]`: cross entropy in nats, accuracy and confusion matrix.

    For a network with auxiliary classifiers, whose outputs are a dictionary of "logits" and others, `auxiliary` names
    these with the weights of their losses, such as `{"auxiliary1": 0.3, "auxiliary2": 0.3}` of GoogLeNet; they take
    part in no metric.
    """

    def loss(outputs: Any, batch: Batch) -> Array:
        def cross_entropy(logits: Array) -> Array:
            return softmax_cross_entropy(logits, batch["label"], smoothing=smoothing)

        others = (weight * cross_entropy(outputs[name]) for name, weight in (auxiliary or {}).items())
        return sum(others, start=cross_entropy(logits_of(outputs)))

    def logits_of(outputs: Any) -> Array:
        return outputs["logits"] if auxiliary else outputs

    def predicted(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        return metrics.predicted_class(logits_of(outputs)), batch["label"]

    accuracy = metrics.on(metrics.accuracy(), lambda outputs, batch: (logits_of(outputs), batch["label"]))
    return Task(loss, {"accuracy": accuracy, "confusion": metrics.on(metrics.confusion_matrix(classes), predicted)})
