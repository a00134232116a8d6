"""Rows of fjdl.metrics."""

from functools import partial
from typing import Any

from fjdl import metrics
from fjdl.metrics.state import counts
from tests.cases.case import Case, inputs, labels, normal, uniform


def accuracy_on_batch(outputs: Any, labels: Any, mask: Any) -> Any:
    metric = metrics.on(metrics.accuracy(), lambda outputs, batch: (outputs, batch["label"]))
    return metric.compute(metric.update(metric.init(), outputs, {"label": labels, "example_mask": mask}))


def sum_of_counts(a: Any, b: Any) -> Any:
    return counts.to_float(counts.add(counts.add(counts.zero(a.shape), counts.of(a)), counts.of(b)))


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
]
