"""Metrics of a million predictions: fjdl jitted, scikit-learn as it is."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn import metrics as peer
from sklearn.preprocessing import label_binarize

from experiments.benchmarks.comparison import Comparison
from fjdl import metrics


def comparisons(examples: int, classes: int) -> Iterator[Comparison]:
    """Confusion matrix, areas under the ROC curve, macro F1 of many classes and average precision."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, examples).astype(np.int32)
    scores = rng.standard_normal((examples, classes)).astype(np.float32)
    scores[np.arange(examples), labels] += 1.0
    scores = np.asarray(jax.nn.softmax(scores))
    predictions = scores.argmax(axis=1).astype(np.int32)
    names = range(classes)
    confusion = partial(metrics.measure, metrics.confusion_matrix(classes))
    yield pair("confusion matrix", confusion, (predictions, labels), lambda: peer.confusion_matrix(labels, predictions))
    area = partial(metrics.roc_auc_score, multi_class="ovr", average="macro")
    yield pair(
        "area under the ROC curve",
        area,
        (labels, scores),
        lambda: peer.roc_auc_score(labels, scores, multi_class="ovr", labels=names),
    )
    yield of_many_classes(rng, examples, 20_000)
    yield pair(
        "average precision",
        partial(metrics.average_precision_score, average="macro"),
        (labels, scores),
        lambda: peer.average_precision_score(label_binarize(labels, classes=names), scores),
    )


def of_many_classes(rng: np.random.Generator, examples: int, classes: int) -> Comparison:
    """Macro F1 of more classes than a table of all pairs has room for."""
    labels, others = rng.integers(0, classes, (2, examples)).astype(np.int32)
    predictions = np.where(rng.random(examples) < 0.7, labels, others)
    return pair(
        f"macro F1 of {classes:,} classes",
        partial(metrics.f1_score, average="macro", labels=range(classes)),
        (labels, predictions),
        lambda: peer.f1_score(labels, predictions, average="macro", labels=range(classes)),
    )


def pair(name: str, ours: Callable[..., Any], arrays: tuple[Any, ...], theirs: Callable[[], Any]) -> Comparison:
    """Both on the same arrays, ours on arrays that are already on the device; refuses to compare different results."""
    jitted, placed = jax.jit(ours), [jnp.asarray(array) for array in arrays]
    np.testing.assert_allclose(np.asarray(jitted(*placed)), theirs(), rtol=1e-5)
    return Comparison(name, {"fjdl": lambda: jax.block_until_ready(jitted(*placed)), "scikit-learn": theirs})
