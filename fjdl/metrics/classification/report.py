"""The scores of a classification as a table of text."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jax.core import Tracer

from fjdl.checks import at_least
from fjdl.metrics.classification import rates
from fjdl.metrics.classification.averaged_scores import (
    Labels as Indicators,
    SampleWeight,
    f1_score,
    precision_score,
    recall_score,
)
from fjdl.metrics.classification.confusion_table import Labels, class_outcomes, known_labels, listed
from fjdl.metrics.classification.multilabel import label_outcomes, selected
from fjdl.metrics.classification.outcomes import Outcomes, outcomes_of
from fjdl.typing import Array, Float, Num, typed

Row = tuple[str, list[float], float]
_COLUMNS = ("precision", "recall", "f1-score", "support")


@typed
def classification_report(
    y_true: Indicators,
    y_pred: Indicators,
    *,
    labels: Labels = None,
    target_names: Sequence[str] | None = None,
    sample_weight: SampleWeight = None,
    digits: int = 2,
    zero_division: float = 0.0,
) -> str:
    """Precision, recall, F1 and support of each class and their averages, as a table of text for concrete arrays.

    Labels and predictions are those of `f1_score`, and `target_names` the names of the classes. The line "accuracy"
    stands for the micro average where `labels` leave out no class. Equals `sklearn.metrics.classification_report`; over
    batches it is `classification_report_from(matrix)`.
    """
    if any(isinstance(x, Tracer) for x in (y_true, y_pred, sample_weight)):
        raise ValueError("y_true, y_pred and sample_weight must be concrete for a text, got traced ones")
    real = sample_weight is not None
    if y_true.ndim == 1:
        known = known_labels(labels, y_true, y_pred)
        outcomes = class_outcomes(y_true, y_pred, known, sample_weight)
        whole = set(known) >= set(known_labels(None, y_true, y_pred))
        shown = tuple(map(bool, known)) if y_true.dtype == y_pred.dtype == bool else known
        heading = "accuracy" if whole else "micro avg"
        return _table(outcomes, _names(target_names, shown), digits, zero_division, heading, real=real)
    columns = range(y_true.shape[1]) if labels is None else listed(labels)
    pair = selected(y_true, columns), selected(y_pred, columns)
    outcomes = label_outcomes(*pair, sample_weight=sample_weight)
    options = {"average": "samples", "sample_weight": sample_weight, "zero_division": zero_division}
    samples = [float(score(*pair, **options)) for score in (precision_score, recall_score, f1_score)]
    names = _names(target_names, tuple(columns))
    return _table(outcomes, names, digits, zero_division, "micro avg", samples, real=real)


@typed
def classification_report_from(
    matrix: Num[Array, "k k"] | Outcomes,
    *,
    target_names: Sequence[str] | None = None,
    digits: int = 2,
    zero_division: float = 0.0,
) -> str:
    """`classification_report` of a confusion matrix whose rows are labels, or of `Outcomes`."""
    outcomes = outcomes_of(matrix)
    names = _names(target_names, tuple(range(outcomes.true_positives.shape[0])))
    heading = "micro avg" if isinstance(matrix, Outcomes) else "accuracy"
    real = bool(np.any(np.asarray(outcomes.true_positives) % 1))
    return _table(outcomes, names, digits, zero_division, heading, real=real)


def _names(target_names: Sequence[str] | None, labels: tuple[object, ...]) -> list[str]:
    if target_names is not None and len(target_names) != len(labels):
        raise ValueError(f"target_names must name the {len(labels)} labels {labels}, got {list(target_names)}")
    return [str(label) for label in labels] if target_names is None else list(target_names)


def _table(
    outcomes: Outcomes,
    names: list[str],
    digits: int,
    zero_division: float,
    pooled: str,
    samples: list[float] | None = None,
    *,
    real: bool = False,
) -> str:
    at_least(0, digits=digits)
    each = [partial(f, zero_division=zero_division) for f in (rates.precision, rates.recall, rates.f1)]
    support = np.asarray(outcomes.true_positives) + np.asarray(outcomes.false_negatives)
    by_class = np.stack([np.asarray(score(outcomes)) for score in each], axis=1)
    total = float(support.sum())
    rows: list[Row] = [
        (name, list(map(float, row)), float(n)) for name, row, n in zip(names, by_class, support, strict=True)
    ]
    averages: list[Row] = [(pooled, [float(rates.micro(score, outcomes)) for score in each], total)]
    averages += [("macro avg", [_mean(column) for column in by_class.T], total)]
    averages += [("weighted avg", [_mean(column, support) for column in by_class.T], total)]
    averages += [("samples avg", samples, total)] if samples is not None else []
    width = max(digits, len("weighted avg"), *map(len, names))
    head = f"{'':>{width}} " + "".join(f" {column:>9}" for column in _COLUMNS)
    blocks = ["".join(_line(row, width, digits, real) for row in block) for block in (rows, averages)]
    return "\n".join([head + "\n", *blocks])


def _line(row: Row, width: int, digits: int, real: bool) -> str:
    name, values, support = row
    shown = [f"{value:>9.{digits}f}" for value in values]
    if name == "accuracy":
        shown[:2] = [" " * 9] * 2
    count = str(float(f"{support:.7g}")) if real else f"{support:.0f}"
    return f"{name:>{width}}  {' '.join(shown)} {count:>9}\n"


def _mean(values: Float[np.ndarray, " k"], weights: Float[np.ndarray, " k"] | None = None) -> float:
    """Mean of the values that are not NaN; the plain mean where their weights are all 0."""
    defined = ~np.isnan(values)
    if weights is None or not weights[defined].any():
        return float(np.mean(values[defined])) if defined.any() else float("nan")
    return float(np.average(values[defined], weights=weights[defined]))
