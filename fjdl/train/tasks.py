"""Losses and metrics of common tasks, as a recipe takes them: functions of `(outputs, batch)`."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from fjdl import losses, metrics
from fjdl.losses import softmax_cross_entropy
from fjdl.metrics import Metric
from fjdl.numerics import widened
from fjdl.train.recipe import Batch
from fjdl.typing import Array


class Requirement(NamedTuple):
    """A rule for the values of one array of the data, which is looked at before training."""

    array: str  # its name
    rule: str  # the end of a sentence, such as "lie in [0, 10)"
    holds: Callable[[np.ndarray], np.ndarray]  # from values to booleans of the same shape


@dataclasses.dataclass(frozen=True)
class TaskLoss:
    """A loss of `(outputs, batch)`, one value per example, that says what it requires of the data."""

    values: Callable[[Any, Batch], Array]
    requirements: tuple[Requirement, ...]

    def __call__(self, outputs: Any, batch: Batch) -> Array:
        """The value of each example."""
        return self.values(outputs, batch)


class Task(NamedTuple):
    """What is minimized and what is measured."""

    loss: Callable[[Any, Batch], Array]
    metrics: Mapping[str, Metric]


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

    def in_range(labels: np.ndarray) -> np.ndarray:
        return (labels >= 0) & (labels < classes)

    required = Requirement("label", f"lie in [0, {classes}), counted from 0", in_range)
    accuracy = metrics.on(metrics.accuracy(), lambda outputs, batch: (logits_of(outputs), batch["label"]))
    confusion = metrics.on(metrics.confusion_matrix(classes), predicted)
    return Task(TaskLoss(loss, (required,)), {"accuracy": accuracy, "confusion": confusion})


def regression(*, loss: Callable[[Array, Array], Array] = losses.mse) -> Task:
    """Predictions `[n]`, `[n, 1]` or `[n, d]` against `batch["target"]` of as many numbers: RMSE, MAE and R².

    `loss` is a function of predictions and targets `[n, d]` with one value per example, such as `losses.huber`; a
    target of shape `[n]` is a column. The metrics count each of the n · d numbers as one. Recipes take
    `monitor="loss", mode="min"`. Targets must be finite. Raises `ValueError` where outputs and targets do not have the
    same number of columns.
    """

    def pair(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        predictions, targets = _columns(outputs), _columns(batch["target"])
        if predictions.shape != targets.shape:
            raise ValueError(
                f"the model must give as many numbers per example as the target has, got shapes {outputs.shape} and "
                f"{batch['target'].shape}"
            )
        return predictions, targets

    measured = {"rmse": metrics.rmse(), "mae": metrics.mae(), "r2": metrics.r2()}
    required = Requirement("target", "be finite", np.isfinite)
    return Task(
        TaskLoss(lambda outputs, batch: loss(*pair(outputs, batch)), (required,)),
        {name: metrics.on(metric, pair) for name, metric in measured.items()},
    )


def _columns(values: Array) -> Array:
    return widened(jnp.reshape(values, (values.shape[0], -1)))
