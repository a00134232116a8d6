"""Rows of fjdl.metrics."""

from functools import partial
from typing import Any

import numpy as np

from fjdl import metrics
from fjdl.metrics.state import counts
from tests.cases.case import Case, f32, inputs, labels, normal, uniform

NAN = np.float32(np.nan)


def accuracy_on_batch(outputs: Any, labels: Any, mask: Any) -> Any:
    metric = metrics.on(metrics.accuracy(), lambda outputs, batch: (outputs, batch["label"]))
    return metric.compute(metric.update(metric.init(), outputs, {"label": labels, "example_mask": mask}))


def sum_of_counts(a: Any, b: Any) -> Any:
    return counts.to_float(counts.add(counts.add(counts.zero(a.shape), counts.of(a)), counts.of(b)))


def _ratio(totals: np.ndarray, sizes: np.ndarray) -> tuple[Any, Any, Any]:
    ratio, n = totals.sum() / sizes.sum(), len(totals)
    error = np.sqrt(n / (n - 1) * ((totals - ratio * sizes) ** 2).sum()) / sizes.sum()
    return metrics.Ratio(ratio, error, sizes.sum())


def _interval_of_ratio(value: Any, error: Any, size: Any) -> Any:
    return metrics.ratio_interval(metrics.Ratio(value, error, size))


CASES: list[Case] = [
    Case(
        partial(metrics.measure, metrics.accuracy()),
        inputs(normal(6, 4), labels(6, classes=4)),
        result="float32",
        label="accuracy",
    ),
    Case(
        partial(metrics.measure, metrics.top_k_accuracy(2)),
        inputs(normal(6, 4), labels(6, classes=4)),
        result="float32",
        label="top_k_accuracy",
    ),
    Case(
        partial(metrics.measure, metrics.confusion_matrix(4)),
        inputs(labels(6, classes=4), labels(6, classes=4)),
        result=None,
        label="confusion_matrix",
    ),
    Case(partial(metrics.measure, metrics.mean()), inputs(normal(6)), (0,), "float32", label="mean"),
    Case(accuracy_on_batch, inputs(normal(6, 4), labels(6, classes=4), labels(6, classes=2)), result="float32"),
    Case(sum_of_counts, inputs(labels(3, classes=9), labels(3, classes=9)), result=None),
    Case(metrics.predicted_class, inputs(normal(6, 4)), result=None),
    Case(metrics.accuracy_from, inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32", domain=(1e-3, 1e4)),
    Case(metrics.precision, inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32", domain=(1e-3, 1e4)),
    Case(metrics.recall, inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32", domain=(1e-3, 1e4)),
    Case(metrics.f1, inputs(uniform(3, 3, low=1.0, high=2.0)), (0,), "float32", domain=(1e-3, 1e4)),
    Case(
        partial(metrics.macro, metrics.f1),
        inputs(uniform(3, 3, low=1.0, high=2.0)),
        (0,),
        "float32",
        domain=(1e-3, 1e4),
    ),
    Case(
        partial(metrics.micro, metrics.f1),
        inputs(uniform(3, 3, low=1.0, high=2.0)),
        (0,),
        "float32",
        domain=(1e-3, 1e4),
    ),
    Case(
        partial(metrics.weighted, metrics.f1),
        inputs(uniform(3, 3, low=1.0, high=2.0)),
        (0,),
        "float32",
        domain=(1e-3, 1e4),
    ),
    Case(
        metrics.wilson_interval,
        inputs(uniform(4, low=1, high=8), uniform(4, low=9, high=9.5)),
        (0, 1),
        "float32",
        domain=None,
    ),
    Case(
        partial(metrics.measure, metrics.ratio_of_sums()),
        inputs(normal(5), uniform(5, low=1, high=4)),
        result="float32",
        label="ratio_of_sums",
        oracle=_ratio,
        edges=(((f32(2, 6), f32(1, 2)), (f32(8 / 3), f32(4 / 9), f32(3))), ((f32(2), f32(0)), (NAN, NAN, f32(0)))),
    ),
    Case(
        _interval_of_ratio,
        inputs(normal(), uniform(), uniform()),
        (0, 1),
        "float32",
        oracle=lambda value, error, size: (value - 1.959964 * error, value + 1.959964 * error),
    ),
]
