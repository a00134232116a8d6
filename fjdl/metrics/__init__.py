"""Metrics: named tuples of pure functions with exact, mergeable states, and scores of what they computed."""

from fjdl.metrics.base import Metric, measure, on
from fjdl.metrics.classification import accuracy, confusion_matrix, predicted_class, top_k_accuracy
from fjdl.metrics.intervals import wilson_interval
from fjdl.metrics.mean import mean
from fjdl.metrics.scores import accuracy_from, f1, macro, micro, precision, recall, weighted

__all__ = [
    "Metric", "accuracy", "accuracy_from", "confusion_matrix", "f1", "macro", "mean", "measure", "micro", "on",
    "precision", "predicted_class", "recall", "top_k_accuracy", "weighted", "wilson_interval",
]  # fmt: skip
