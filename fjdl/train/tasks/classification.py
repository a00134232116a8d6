"""Classification: one class for each example, among a fixed number of them."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from fjdl import metrics
from fjdl.functional.activations import softmax
from fjdl.losses import softmax_cross_entropy
from fjdl.train.recipe import Batch
from fjdl.train.summary import Summary
from fjdl.train.tasks.base import Task, TaskLoss, labels_below
from fjdl.typing import Array


def classification(classes: int, *, smoothing: float = 0.0, auxiliary: Mapping[str, float] | None = None) -> Task:
    """Logits `[n, classes]` against `batch["label"]`: cross entropy in nats, accuracy and confusion matrix.

    Labels are integers in [0, classes). For a network with auxiliary classifiers, whose outputs are a dictionary of
    "logits" and others, `auxiliary` names these with the weights of their losses, such as `{"auxiliary1": 0.3,
    "auxiliary2": 0.3}` of GoogLeNet; they take part in no metric. The loss raises `ValueError` for logits of another
    number of classes.
    """

    def loss(outputs: Any, batch: Batch) -> Array:
        def cross_entropy(logits: Array) -> Array:
            if logits.shape[-1] != classes:
                raise ValueError(f"the model must give {classes} logits for each example, got shape {logits.shape}")
            return softmax_cross_entropy(logits, batch["label"], smoothing=smoothing)

        others = (weight * cross_entropy(outputs[name]) for name, weight in (auxiliary or {}).items())
        return sum(others, start=cross_entropy(logits_of(outputs)))

    def logits_of(outputs: Any) -> Array:
        return outputs["logits"] if auxiliary else outputs

    def predicted(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        return metrics.predicted_class(logits_of(outputs)), batch["label"]

    accuracy = metrics.on(metrics.accuracy(), lambda outputs, batch: (logits_of(outputs), batch["label"]))
    confusion = metrics.on(metrics.confusion_matrix(classes), predicted)
    summary = Summary(
        headline="accuracy",
        numbers=numbers_of_confusion,
        confusion="confusion",
        probabilities=lambda outputs: softmax(logits_of(outputs)),
    )
    return Task(
        TaskLoss(loss, (labels_below("label", classes),), summary), {"accuracy": accuracy, "confusion": confusion}
    )


def numbers_of_confusion(results: Mapping[str, Any]) -> dict[str, Any]:
    """From a confusion matrix: the number of examples, the accuracy's 95 % Wilson interval, and the macro F1."""
    if "confusion" not in results:
        return {}
    matrix = jnp.asarray(results["confusion"])
    interval = metrics.wilson_interval(jnp.trace(matrix), matrix.sum())
    return {
        "count": int(matrix.sum()),
        "accuracy_interval": [float(bound) for bound in interval],
        "macro_f1": float(metrics.macro(metrics.f1, matrix)),
    }
