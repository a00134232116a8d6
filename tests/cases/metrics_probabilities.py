"""Rows of fjdl.metrics: scores of probabilities, calibration, sums, and what a classifier gets wrong.

Functions of the same arguments share a row, which returns the results of all.
"""

from functools import partial
from typing import Any

import numpy as np

from fjdl.metrics import base
from fjdl.metrics.classification import inspection, label_noise, probabilities
from fjdl.metrics.state import sums
from fjdl.metrics.uncertainty import calibration
from tests.cases.case import Case, f32, i32, inputs, labels, normal, uniform

NAN, EPS = np.nan, float(np.finfo(np.float32).eps)


def distributions(n: int, k: int) -> Any:
    return lambda rng: ((rng.dirichlet(np.ones(k), n) + 0.1) / (1 + 0.1 * k)).astype(np.float32)


def per_example(y_true: Any, y_proba: Any) -> Any:
    return probabilities.log_losses(y_true, y_proba), probabilities.brier_scores(y_true, y_proba)


def per_example_by_numpy(y_true: Any, y_proba: Any) -> Any:
    indicators = np.eye(y_proba.shape[1])[np.asarray(y_true)]
    return -np.log(np.sum(indicators * y_proba, axis=1)), np.sum((indicators - y_proba) ** 2, axis=1)


def binary_at_once(y_true: Any, y_proba: Any, w: Any) -> Any:
    return (
        probabilities.log_loss(y_true, y_proba, labels=(3, 8), sample_weight=w),
        probabilities.brier_score_loss(y_true, y_proba, labels=(3, 8), sample_weight=w),
        probabilities.brier_score_loss(y_true, y_proba, labels=(3, 8), scale_by_half=False),
    )


def binary_by_numpy(y_true: Any, y_proba: Any, w: Any) -> Any:
    positive = np.asarray(y_true) == 8
    distances = (positive - y_proba) ** 2
    log_losses = -np.log(np.where(positive, y_proba, 1 - y_proba))
    return np.average(log_losses, weights=w), np.average(distances, weights=w), 2 * distances.mean()


def streamed(probabilities_: Any, y_true: Any) -> Any:
    metrics = probabilities.negative_log_likelihood(), probabilities.brier_score()
    return tuple(base.measure(metric, probabilities_, y_true) for metric in metrics)


def noise(probabilities_: Any, labels_: Any) -> Any:
    return label_noise.confident_joint(probabilities_, labels_), label_noise.label_suspects(probabilities_, labels_)


def noise_by_numpy(p: Any, labels_: Any) -> Any:
    """Confident learning, one example after the other."""
    n, k = p.shape
    own = np.asarray(labels_)
    least = [p[own == j, j].mean() if (own == j).any() else np.inf for j in range(k)]
    joint, suspects = np.zeros((k, k), int), np.zeros(n, bool)
    for row, label, number in zip(p, own, range(n), strict=True):
        sure = [j for j in range(k) if row[j] >= least[j] - 1e-6]
        if sure:
            best = max(sure, key=lambda j: row[j])
            joint[label, best] += 1
            suspects[number] = best != label
    return joint, suspects


def reliability(confidences: Any, correct: Any) -> Any:
    diagram = base.measure(calibration.calibration(4), confidences, correct)
    return (
        tuple(diagram),
        calibration.expected_calibration_error(diagram),
        calibration.maximum_calibration_error(diagram),
    )


def one_prediction_at_a_time(confidences: Any, correct: Any) -> Any:
    rows: list[list[tuple[float, bool]]] = [[] for _ in range(4)]
    for confidence, hit in zip(confidences, np.asarray(correct), strict=True):
        rows[next(i for i in range(4) if confidence <= (i + 1) / 4)].append((confidence, bool(hit)))
    means = np.array([np.mean(row, axis=0) if row else np.full(2, NAN) for row in rows])
    seen, gaps = np.array([len(row) for row in rows]), np.abs(means[:, 0] - means[:, 1])
    return (means[:, 0], means[:, 1], seen), np.nansum(seen * gaps) / seen.sum(), np.nanmax(gaps)


def two_sums(values: Any, index: Any) -> Any:
    merged = sums.add(sums.by_index(values, index, 3), sums.of(values[:, None]))
    return sums.to_float(sums.add(sums.zero((3,)), sums.Sum(*[x + 0 for x in merged])))


def weighted_average(values: Any, weights: Any) -> Any:
    return sums.average(values, weights)


TWO = i32(0, 1)
EMPTY_BINS = np.full(4, NAN)

CASES: list[Case] = [
    Case(
        per_example,
        inputs(labels(6, classes=3), distributions(6, 3)),
        (1,),
        "float32",
        oracle=per_example_by_numpy,
        domain=(0, 1),
        edges=(
            ((TWO, f32([0, 1], [0, 1])), (np.array([-np.log(EPS), EPS]), f32(1, 0))),
            ((TWO, f32([1.5, 0], [0, NAN])), (f32(NAN, NAN), f32(NAN, NAN))),
            ((i32(2, -1), f32([0, 1], [0, 1])), (f32(NAN, NAN), f32(NAN, NAN))),
        ),
        errors=(
            ((TWO, f32([1], [1])), r"^y_proba must have at least 2 columns, got 1$"),
            ((TWO, f32(0.5, 0.5, 0.5)), r"argument `y_proba` must be "),
        ),
    ),
    Case(
        binary_at_once,
        inputs(
            lambda rng: np.array([3, 8], np.int32)[rng.integers(0, 2, 6)],
            uniform(6, low=0.05, high=0.95),
            uniform(6, low=0.5),
        ),
        (1,),
        "float32",
        vmappable=False,
        oracle=binary_by_numpy,
        domain=(0, 1),
        edges=(
            ((np.zeros(0, np.int32), f32(), f32()), (NAN, NAN, NAN)),
            ((i32(3, 8), f32(0.5, NAN), f32(1, 0)), (np.log(2), 0.25, NAN)),
        ),
        errors=(
            (
                (TWO, np.ones((2, 3), np.float32), f32(1, 1)),
                r"^labels must be distinct, one for each of the 3 columns,",
            ),
        ),
    ),
    Case(
        streamed,
        inputs(distributions(6, 3), labels(6, classes=3)),
        result="float32",
        vmappable=False,
        oracle=lambda p, y: tuple(x.mean() for x in per_example_by_numpy(y, p)),
    ),
    Case(
        reliability,
        inputs(uniform(9), labels(9, classes=2)),
        result="float32",
        oracle=one_prediction_at_a_time,
        edges=(
            (
                (f32(0, 1, 0.25, 0.5), i32(0, 1, 1, 0)),
                ((f32(0.125, 0.5, NAN, 1), f32(0.5, 0, NAN, 1), f32(2, 1, 0, 1)), 0.3125, 0.5),
            ),
            ((f32(), i32()), ((EMPTY_BINS, EMPTY_BINS, np.zeros(4)), NAN, NAN)),
            ((f32(2.0), i32(1)), ((EMPTY_BINS, f32(NAN, NAN, NAN, 1), f32(0, 0, 0, 1)), NAN, NAN)),
            ((f32(-0.5), i32(1)), ((EMPTY_BINS, f32(1, NAN, NAN, NAN), f32(1, 0, 0, 0)), NAN, NAN)),
            ((f32(NAN), i32(1)), ((EMPTY_BINS, f32(1, NAN, NAN, NAN), f32(1, 0, 0, 0)), NAN, NAN)),
        ),
    ),
    Case(
        calibration.top_class,
        inputs(distributions(6, 3), labels(6, classes=3)),
        result=None,
        oracle=lambda p, y: (p.max(1), p.argmax(1) == np.asarray(y)),
        edges=(((f32([0.5, 0.5], [0.5, 0.5]), TWO), (f32(0.5, 0.5), np.array([True, False]))),),
    ),
    Case(
        noise,
        inputs(distributions(40, 3), labels(40, classes=3)),
        result=None,
        oracle=noise_by_numpy,
        edges=(
            ((f32([0.5, 0.5], [0.5, 0.5]), TWO), (np.array([[1, 0], [1, 0]]), np.array([False, True]))),
            ((f32([NAN, 0.5], [0.1, 0.9]), i32(0, 0)), (np.array([[1, 0], [0, 0]]), np.array([False, False]))),
            ((f32([0.9, 0.1], [0.1, 0.9]), i32(7, -1)), (np.zeros((2, 2)), np.array([False, False]))),
        ),
    ),
    Case(
        partial(inspection.misclassified, k=3),
        inputs(normal(8, 4), labels(8, classes=4)),
        result=None,
        edges=(
            (
                (f32([0, 3], [5, 0], [9, 0], [0, 0]), i32(0, 1, 0, 1)),
                (i32(1, 0, 3), i32(0, 1, 0), 1 / (1 + np.exp([-5.0, -3.0, 0.0])), np.ones(3)),
            ),
            (
                (f32([1, 0], [0, 1], [NAN, 9], [-np.inf, -np.inf]), i32(0, 7, 1, 0)),
                (i32(2, 1, -1), i32(-1, 1, -1), np.array([NAN, 1 / (1 + np.exp(-1)), 0]), np.array([1, 1, 0])),
            ),
            (
                (f32([20, 0], [30, 0], [25, 0], [5, 0]), i32(1, 1, 1, 1)),
                (i32(1, 2, 0), i32(0, 0, 0), f32(1, 1, 1), np.ones(3)),
            ),
        ),
        errors=(((f32([0, 1]), i32(0)), r"^k must lie in \[1, 1\], the number of examples, got 3$"),),
    ),
    Case(
        inspection.generalization_gap,
        inputs(uniform(3), uniform(3)),
        (0, 1),
        "float32",
        vmappable=False,
        oracle=lambda error_in, error_out: error_out - error_in,
        edges=(((f32(0.1), f32(0.3)), f32(0.2)),),
    ),
    Case(
        two_sums,
        inputs(normal(6), labels(6, classes=3)),
        result="float32",
        oracle=lambda x, i: np.bincount(i, x, minlength=3) + x.sum(),
        edges=(((f32(1, 2, 4), i32(0, -1, 3)), f32(8, 7, 7)),),
    ),
    Case(
        weighted_average,
        inputs(normal(6), uniform(6, low=0.1)),
        (0, 1),
        "float32",
        oracle=lambda x, w: np.average(x, weights=w),
        domain=(1e-3, 1e4),
        edges=(((f32(NAN, 2), f32(0, 1)), 2), ((f32(1, 2), f32(0, 0)), NAN)),
    ),
]
