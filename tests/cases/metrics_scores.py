"""Rows of fjdl.metrics: scores of confusion matrices and outcomes, agreement, and scikit-learn's scores at once.

Functions of the same arguments share a row, which returns the results of all.
"""

from functools import partial
from typing import Any

import numpy as np
import sklearn.metrics as sk

from fjdl.metrics import base
from fjdl.metrics.classification import (
    agreement,
    averaged_scores,
    confusion_table,
    label_scores,
    multilabel,
    outcomes,
    rates,
    streaming as classification,
)
from tests.cases.case import Case, f32, i32, inputs, labels, normal, uniform
from tests.cases.oracles.metrics_scores import (
    agreements_by_sklearn,
    agreements_of_pairs,
    by_class_of_sklearn,
    divided_by_numpy,
    fractions_by_sklearn,
    of_indicators_by_sklearn,
    of_numpy,
    rates_one_pair_at_a_time,
    top_k_by_sorting,
)

NAN = np.nan
NOT_SQUARE = ((np.zeros((2, 3), np.float32),), r"argument `matrix` must be .*'k k'")
EMPTY, ONE_CLASS = np.zeros((3, 3), np.float32), f32([4, 0, 0], [0, 0, 0], [0, 0, 0])
PERFECT, ALL_WRONG = np.diag(f32(3, 2, 1)), f32([0, 2, 0], [3, 0, 0], [0, 0, 0])
CONSTANT = f32([1, 3, 0], [0, 0, 0], [0, 0, 0])


def all_rates(matrix: Any) -> Any:
    per_class = (
        rates.jaccard(matrix),
        rates.specificity(matrix),
        rates.npv(matrix, zero_division=1.0),
        rates.false_positive_rate(matrix),
        rates.false_negative_rate(matrix),
        rates.fbeta(matrix, beta=2.0),
        rates.fbeta(matrix, beta=float("inf")),
        rates.fbeta(matrix, beta=0.0),
    )
    counted = outcomes.outcomes_of(outcomes.one_against_rest(matrix))
    return per_class, tuple(counted), outcomes.pooled(counted)


def rates_of(values: list[list[float]], counted: list[list[float]], pooled: list[list[float]]) -> Any:
    return tuple(map(np.array, values)), tuple(map(np.array, counted)), np.array(pooled)


ZERO = [0.0] * 3
RATES_OF_NOTHING = rates_of([ZERO, ZERO, [1, 1, 1], ZERO, ZERO, ZERO, ZERO, ZERO], [ZERO] * 4, [[0, 0], [0, 0]])
RATES_OF_ONE_CLASS = rates_of(
    [[1, 0, 0], [0, 1, 1], [1, 1, 1], ZERO, ZERO, [1, 0, 0], [1, 0, 0], [1, 0, 0]],
    [[4, 0, 0], ZERO, ZERO, [0, 4, 4]],
    [[8, 0], [0, 4]],
)


def agreements(matrix: Any) -> Any:
    return (
        agreement.balanced_accuracy(matrix),
        agreement.balanced_accuracy(matrix, adjusted=True),
        agreement.matthews_correlation(matrix),
        agreement.cohen_kappa(matrix),
        agreement.cohen_kappa(matrix, weights="linear"),
        agreement.cohen_kappa(matrix, weights="quadratic"),
    )


def fractions(y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
    arguments = {"sample_weight": sample_weight}
    return (
        label_scores.accuracy_score(y_true, y_pred, **arguments),
        label_scores.zero_one_loss(y_true, y_pred, **arguments),
        label_scores.hamming_loss(y_true, y_pred, **arguments),
    )


def agreements_at_once(y1: Any, y2: Any) -> Any:
    return (
        label_scores.balanced_accuracy_score(y1, y2, labels=range(3)),
        label_scores.balanced_accuracy_score(y1, y2, labels=range(3), adjusted=True),
        label_scores.matthews_corrcoef(y1, y2, labels=range(3)),
        label_scores.cohen_kappa_score(y1, y2, labels=range(3)),
        label_scores.cohen_kappa_score(y1, y2, labels=range(3), weights="linear"),
        base.measure(base.then(classification.confusion_matrix(3), quadratic_kappa), y2, y1),
    )


def quadratic_kappa(matrix: Any) -> Any:
    return agreement.cohen_kappa(matrix, weights="quadratic")


def top_k(y_true: Any, y_score: Any) -> Any:
    columns = (2, 5, 9, 12)
    hits = classification.within_top_k(y_score, confusion_table.positions(y_true, columns), k=2)
    return (
        hits,
        label_scores.top_k_accuracy_score(y_true, y_score, labels=columns),
        label_scores.top_k_error(y_true, y_score, k=3, labels=columns),
    )


def by_class(y_true: Any, y_pred: Any) -> Any:
    return (
        confusion_table.confusion_table(y_true, y_pred, labels=(2, 0)),
        averaged_scores.precision_score(y_true, y_pred, labels=(0, 2), average="micro", zero_division=1.0),
        averaged_scores.recall_score(y_true, y_pred, labels=(0, 2, 1), average=None),
        averaged_scores.specificity_score(y_true, y_pred, labels=range(3), average="macro"),
        averaged_scores.f1_score(y_true, y_pred, labels=(1, 2, 3), average="weighted"),
        averaged_scores.fbeta_score(y_true, y_pred, beta=0.5, labels=range(3), average="macro"),
    )


def divided(matrix: Any) -> Any:
    return tuple(confusion_table.normalized(matrix, normalize=kind) for kind in ("true", "pred", "all"))


def of_indicators(y_true: Any, y_pred: Any, w: Any) -> Any:
    return (
        averaged_scores.jaccard_score(y_true, y_pred, average="samples", sample_weight=w),
        averaged_scores.f1_score(y_true, y_pred, average="macro", labels=(2, 0)),
        multilabel.multilabel_confusion_matrix(y_true, y_pred, sample_weight=w),
        multilabel.multilabel_confusion_matrix(y_true, y_pred, sample_weight=w, samplewise=True),
        rates.f1(multilabel.sample_outcomes(y_true, y_pred)),
        rates.weighted(rates.recall, multilabel.label_outcomes(y_true, y_pred)),
    )


NOTHING = np.zeros(0, np.int32)
CASES: list[Case] = [
    Case(
        all_rates,
        inputs(uniform(3, 3, low=1.0, high=2.0)),
        result="float32",
        oracle=rates_one_pair_at_a_time,
        edges=(((EMPTY,), RATES_OF_NOTHING), ((ONE_CLASS,), RATES_OF_ONE_CLASS)),
        errors=(NOT_SQUARE,),
    ),
    Case(
        divided,
        inputs(uniform(3, 3, low=1.0, high=2.0)),
        (0,),
        "float32",
        domain=(1e-3, 1e4),
        oracle=divided_by_numpy,
        edges=(((EMPTY,), (EMPTY, EMPTY, EMPTY)),),
        errors=(NOT_SQUARE,),
    ),
    Case(
        agreements,
        inputs(uniform(3, 3, low=1.0, high=2.0)),
        result="float32",
        vmappable=False,
        oracle=agreements_of_pairs,
        edges=(
            ((EMPTY,), (NAN, NAN, 0, NAN, NAN, NAN)),
            ((ONE_CLASS,), (1, NAN, 0, NAN, NAN, NAN)),
            ((CONSTANT,), (0.25, NAN, 0, 0, 0, 0)),
            ((PERFECT,), (1, 1, 1, 1, 1, 1)),
            ((ALL_WRONG,), (0, -1, -1, -12 / 13, -12 / 13, -12 / 13)),
        ),
        errors=(NOT_SQUARE,),
    ),
    Case(
        agreement.matthews_correlation,
        inputs(uniform(3, 3, low=1.0, high=2.0)),
        (0,),
        "float32",
        domain=(1e-3, 1e4),
        edges=(((EMPTY,), 0), ((CONSTANT,), 0), ((PERFECT,), 1)),
    ),
    Case(
        fractions,
        inputs(labels(9, classes=3), labels(9, classes=3), uniform(9, low=0.5)),
        result="float32",
        vmappable=False,
        oracle=of_numpy(fractions_by_sklearn),
        edges=(
            ((NOTHING, NOTHING, f32()), (NAN, NAN, NAN)),
            ((i32(0, 1), i32(0, 0), f32(0, 0)), (NAN, NAN, NAN)),
            ((i32([1, 0], [1, 1]), i32([1, 0], [0, 1]), f32(1, 3)), (0.25, 0.75, 0.375)),
        ),
        errors=(
            ((i32(1, 2), i32([1], [2]), f32(1, 1)), r"argument `y_pred` must be "),
            ((i32([[1]]), i32([[1]]), f32(1)), r"^y_true must have the shape \(n,\) or \(n, k\), got \(1, 1, 1\)$"),
        ),
    ),
    Case(
        agreements_at_once,
        inputs(labels(9, classes=3), labels(9, classes=3)),
        result=None,
        vmappable=False,
        oracle=of_numpy(agreements_by_sklearn),
    ),
    Case(
        top_k,
        inputs(lambda rng: np.array([2, 5, 9, 12], np.int32)[rng.integers(0, 4, 6)], normal(6, 4)),
        result=None,
        oracle=of_numpy(top_k_by_sorting),
        edges=(
            ((i32(7, 5, 12), f32([0, 1, 2, 3], [1, 1, 1, 1], [NAN, 0, 0, 1])), (np.array([0, 1, 0]), 1 / 3, 2 / 3)),
        ),
        errors=(((i32(2), f32([1, 2, 3])), r"^labels must be distinct, one for each of the 3 columns, got \(2, 5, "),),
    ),
    Case(
        by_class,
        inputs(labels(9, classes=3), labels(9, classes=3)),
        result=None,
        oracle=of_numpy(by_class_of_sklearn),
    ),
    Case(
        partial(averaged_scores.fbeta_score, beta=0.5),
        inputs(labels(9, classes=2), labels(9, classes=2)),
        result=None,
        vmappable=False,
        oracle=of_numpy(partial(sk.fbeta_score, beta=0.5)),
        edges=(((NOTHING, NOTHING), 0),),
        errors=(
            (
                (i32(0, 1, 2), i32(0, 1, 2)),
                r"^average='binary' needs two labels with pos_label 1 among them, got \(0, ",
            ),
            ((i32(0, 2), i32(0, 2)), r"^average='binary' needs two labels with pos_label 1 among them, got \(0, 2\)$"),
            (
                (i32([0, 1]), i32([0, 1])),
                r"^average must not be 'binary' for indicators, got y_true of shape \(1, 2\)$",
            ),
        ),
    ),
    Case(
        of_indicators,
        inputs(labels(5, 3, classes=2), labels(5, 3, classes=2), uniform(5, low=0.5)),
        result="float32",
        vmappable=False,
        oracle=of_numpy(of_indicators_by_sklearn),
        errors=(((i32(0, 1), i32(0, 1), f32(1, 1)), r"^indicators must have the shape \(n, k\), got \(2,\)$"),),
    ),
    Case(
        partial(base.measure, base.then(multilabel.multilabel_confusion(3), partial(rates.macro, rates.f1))),
        inputs(labels(5, 3, classes=2), labels(5, 3, classes=2)),
        result=None,
        oracle=lambda p, t: sk.f1_score(np.asarray(t), np.asarray(p), average="macro", zero_division=0),
        errors=(((i32([0, 1]), i32([0, 1])), r"^labels must have 3 columns, got the shape \(1, 2\)$"),),
        label="multilabel_confusion",
    ),
]
