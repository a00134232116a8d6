"""What a task is: a loss and metrics of `(outputs, batch)`, what they require of the data, how results are told."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fjdl.metrics import Metric
from fjdl.train.recipe import Batch, Loss
from fjdl.train.summary import Summary


class Requirement(NamedTuple):
    """A rule for the values of one array of the data, which is looked at before training."""

    array: str  # its name
    rule: str  # the end of a sentence, such as "lie in [0, 10)"
    holds: Callable[[np.ndarray], np.ndarray]  # from values to booleans of the same shape


def labels_below(array: str, classes: int) -> Requirement:
    """That the labels in an array are those of so many classes."""

    def in_range(labels: np.ndarray) -> np.ndarray:
        return (labels >= 0) & (labels < classes)

    return Requirement(array, f"lie in [0, {classes}), counted from 0", in_range)


@dataclasses.dataclass(frozen=True)
class TaskLoss:
    """A loss of `(outputs, batch)`, never reduced, that says what its task requires and how it is told.

    A recipe with this loss has the summary too, where the headline is among its metrics.
    """

    values: Loss
    requirements: tuple[Requirement, ...] = ()
    summary: Summary | None = None

    def __call__(self, outputs: Any, batch: Batch) -> Any:
        """The value of each example, or values and their weights."""
        return self.values(outputs, batch)


class Task(NamedTuple):
    """What is minimized and what is measured: `Recipe(loss=task.loss, metrics=task.metrics, ...)`."""

    loss: TaskLoss
    metrics: Mapping[str, Metric]
