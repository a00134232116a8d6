"""Regression: numbers for each example."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from fjdl import losses, metrics
from fjdl.numerics import widened
from fjdl.train.answers import Estimated
from fjdl.train.recipe import Batch
from fjdl.train.summary import Summary
from fjdl.train.tasks.base import Requirement, Task, TaskLoss
from fjdl.typing import Array


def regression(*, loss: Callable[[Array, Array], Array] = losses.mse_loss) -> Task:
    """Predictions `[n]`, `[n, 1]` or `[n, d]` against `batch["target"]` of as many numbers: RMSE, MAE and R².

    `loss` is a function of predictions and targets `[n, d]` with one value per example, such as `losses.huber_loss`; a
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
        TaskLoss(
            lambda outputs, batch: loss(*pair(outputs, batch)),
            (required,),
            Summary("rmse", better="min", answer=_estimated),
        ),
        {name: metrics.on(metric, pair) for name, metric in measured.items()},
    )


def _estimated(outputs: Any, batch: Batch) -> Estimated:
    return Estimated(_columns(outputs))


def _columns(values: Array) -> Array:
    return widened(jnp.reshape(values, (values.shape[0], -1)))
