"""Rows of fjdl.metrics for real predictions: scores at once, over batches, and the moments they rest on."""

from functools import partial
from typing import Any

import numpy as np
import scipy.stats
import sklearn.metrics as theirs

from fjdl.metrics.base import measure
from fjdl.metrics.image import signal_noise
from fjdl.metrics.regression import (
    correlation,
    scores as regression,
    streaming,
)
from fjdl.metrics.state import covariance
from tests.cases.case import Case, f32, inputs, normal, uniform

NAN, INF = np.nan, np.inf


COLUMN = (np.zeros((3, 1), np.float32), np.zeros(3, np.float32))


def of_batch(*metrics: Any) -> Any:
    """The results of metrics on one batch; their updates take the predictions first."""

    def results(predictions: Any, targets: Any) -> Any:
        return tuple(measure(metric, predictions, targets) for metric in metrics)

    return results


def score(ours: Any, oracle: Any, edges: Any, *, smooth: tuple[int, ...] = (0, 1), **options: Any) -> Case:
    """The row of a score of scikit-learn, averaged over two outputs."""
    refused = ((COLUMN, r"^\w+: argument `y_pred` must be .*, got f32\[3\]"),)
    arrays = inputs(normal(3, 2), normal(3, 2))
    return Case(ours, arrays, smooth, "float32", oracle=oracle, edges=edges, errors=refused, **options)


def errors_of_scikit_learn(y_pred: Any, y_true: Any) -> Any:
    scores = (
        theirs.mean_squared_error, theirs.root_mean_squared_error, theirs.mean_absolute_error,
        theirs.mean_absolute_percentage_error, theirs.max_error,
    )  # fmt: skip
    return tuple(np.asarray(score(y_true, y_pred)) for score in scores)


def explained_by_others(y_pred: Any, y_true: Any) -> Any:
    scores = theirs.r2_score(y_true, y_pred), theirs.explained_variance_score(y_true, y_pred)
    return tuple(map(np.asarray, (*scores, scipy.stats.pearsonr(y_true, y_pred)[0])))


def moments_of_numpy(x: Any) -> Any:
    return np.mean(x, axis=0), np.cov(x, rowvar=False, ddof=0)


def decibels(y_true: Any, y_pred: Any) -> Any:
    return np.stack([10 * np.log10(4 / np.mean((a - b) ** 2)) for a, b in zip(y_true, y_pred, strict=True)])


# A constant target with right and with wrong predictions.
SAME, WRONG = (f32(0.1, 0.1), f32(0.1, 0.1)), (f32(0.1, 0.1), f32(0.1, 0.5))
IMAGES = np.zeros((2, 2, 2, 1), np.float32)

CASES: list[Case] = [
    score(
        regression.mean_squared_error, theirs.mean_squared_error,
        (((f32(), f32()), NAN), ((f32(3, 1), f32(1, 1)), 2), ((f32(1e30, 0), f32(0, 0)), INF)), smooth=(0,),
    ),
    score(
        regression.root_mean_squared_error, theirs.root_mean_squared_error,
        (((f32(), f32()), NAN), (SAME, 0), ((f32(3e30, 0), f32(0, 4e30)), np.sqrt(12.5) * 1e30)),
    ),
    score(
        regression.mean_absolute_error, theirs.mean_absolute_error,
        (((f32(), f32()), NAN), (SAME, 0), ((f32(INF, 0), f32(0, 0)), INF)), smooth=(0,),
    ),
    score(
        regression.mean_absolute_percentage_error, theirs.mean_absolute_percentage_error,
        (((f32(), f32()), NAN), (SAME, 0), ((f32(0, 1), f32(1, 1)), 2.0**51)), domain=(1.0, 1e4), smooth=(0,),
    ),
    score(
        regression.r2_score, theirs.r2_score,
        (((f32(), f32()), NAN), ((f32(1), f32(1)), NAN), (SAME, 1), (WRONG, 0), ((f32(0, 1e30), f32(0, 1e30)), 1)),
    ),
    score(
        regression.explained_variance_score, theirs.explained_variance_score,
        (((f32(), f32()), NAN), ((f32(1), f32(2)), 1), (SAME, 1), (WRONG, 0), ((f32(0, 1), f32(5, 6)), 1)), smooth=(),
    ),
    Case(
        regression.max_error, inputs(normal(3), normal(3)), (0,), "float32", oracle=theirs.max_error,
        edges=(((f32(), f32()), NAN), ((f32(1, NAN, 0), f32(3, 0, 0)), NAN), ((f32(1, 1, 1), f32(3, 0, 1)), 2)),
    ),
    Case(
        regression.pearson_correlation, inputs(normal(3, 2), normal(3, 2)), (0,), "float32", domain=None,
        oracle=lambda y_true, y_pred: scipy.stats.pearsonr(y_true, y_pred)[0],
        edges=(
            ((f32(), f32()), NAN), ((f32(1), f32(2)), NAN), ((f32(0.1, 0.1, 0.1), f32(1, 2, 3)), NAN),
            ((f32(1, 2, 3), f32(-1e30, -2e30, -3e30)), -1), ((f32(1e-30, 2e-30, 3e-30), f32(4, 5, 6)), 1),
        ),
    ),
    Case(regression.difference, inputs(normal(3), normal(3)), result="float32", oracle=np.subtract),
    Case(
        regression.relative_error, inputs(normal(3), normal(3)), result="float32",
        oracle=lambda error, y_true: np.abs(error) / np.abs(y_true),
    ),
    Case(
        regression.explained_fraction, inputs(uniform(3), uniform(3, low=1.0, high=2.0)), (0, 1), "float32",
        oracle=lambda missed, variance: 1 - missed / variance, domain=(0.0, 1e4),
        edges=(((f32(0, 1, 3), f32(0, 0, 4)), f32(1, 0, 0.25)),),
    ),
    Case(
        covariance.centred, inputs(normal(3, 2), uniform(3, low=0.5, high=2.0)), (0, 1), "float32", domain=None,
        oracle=lambda x, weights: x - np.average(x, axis=0, weights=weights),
        edges=(
            ((f32([0.1], [0.1], [0.1]), f32(1, 1, 1)), np.zeros((3, 1))),
            ((f32([NAN], [1], [3]), f32(0, 1, 1)), f32([0], [-1], [1])),
        ),
    ),
    Case(
        partial(measure, covariance.mean_and_covariance(2)), inputs(normal(6, 2)), result="float32", label="covariance",
        oracle=moments_of_numpy,
        edges=(((np.zeros((0, 2), np.float32),), (f32(NAN, NAN), f32([NAN] * 2, [NAN] * 2))),),
        errors=(((np.zeros((3, 4), np.float32),), "^the last axis of x must have length 2, got 4$"),),
    ),
    Case(
        of_batch(streaming.mse(), streaming.rmse(), streaming.mae(), streaming.mape(), streaming.largest_error()),
        inputs(normal(3), normal(3)), result="float32", label="errors", oracle=errors_of_scikit_learn,
        edges=(((f32(), f32()), f32(*[NAN] * 5).tolist()), (SAME, [0.0] * 5)),
    ),
    Case(
        of_batch(correlation.r2(), correlation.explained_variance(), correlation.pearson()),
        inputs(normal(3), normal(3)), result="float32", label="explained", oracle=explained_by_others,
        edges=(
            ((f32(), f32()), [NAN] * 3), ((f32(1), f32(2)), [NAN, 1.0, NAN]), (SAME, [1.0, 1.0, NAN]),
            (WRONG[::-1], [0.0, 0.0, NAN]),
        ),
    ),
    Case(
        partial(signal_noise.peak_signal_noise_ratio, data_range=2.0),
        inputs(normal(2, 2, 2, 1), normal(2, 2, 2, 1)), (0,), "float32",
        oracle=decibels, edges=(((IMAGES, IMAGES), f32(INF, INF)),),
    ),
    Case(
        partial(measure, signal_noise.psnr(2.0)), inputs(normal(3), normal(3)), result="float32", label="psnr",
        oracle=lambda y_pred, y_true: 10 * np.log10(4 / np.mean((y_true - y_pred) ** 2)),
        edges=(((f32(), f32()), NAN), (SAME, INF)),
    ),
]  # fmt: skip
