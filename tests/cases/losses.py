"""Rows of fjdl.losses."""

from functools import partial
from typing import Any

from fjdl import losses
from tests.cases.case import Case, inputs, labels, normal, uniform


def masked_mean(values: Any, mask: Any, weights: Any) -> Any:
    return losses.mean(values, mask=mask, weights=weights)


CASES: list[Case] = [
    Case(losses.softmax_cross_entropy, inputs(normal(4, 5), labels(4, classes=5)), (0,), "float32"),
    Case(
        partial(losses.softmax_cross_entropy, smoothing=0.1),
        inputs(normal(2, 3, 5), labels(2, 3, classes=5)),
        (0,),
        "float32",
        label="smoothed",
    ),
    Case(losses.soft_cross_entropy, inputs(normal(4, 5), uniform(4, 5)), (0, 1), "float32"),
    Case(losses.sigmoid_cross_entropy, inputs(normal(4, 5), uniform(4, 5)), (0, 1), "float32"),
    Case(losses.mse, inputs(normal(4, 5), normal(4, 5)), (0, 1), "float32"),
    Case(losses.total, inputs(normal(4, 5)), (0,), "float32"),
    Case(losses.mean, inputs(normal(4, 5)), (0,), "float32"),
    Case(masked_mean, inputs(normal(4, 5), labels(4, 5, classes=2), uniform(4, 5, low=0.5)), (0, 2), "float32"),
]
