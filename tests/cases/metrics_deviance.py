"""Rows of fjdl.metrics for errors of positive quantities, of quantiles and of images."""

from functools import partial
from typing import Any

import numpy as np
import scipy.ndimage
import sklearn.metrics as theirs

from fjdl.metrics.base import measure
from fjdl.metrics.image import structural_similarity
from fjdl.metrics.regression import deviance, quantile
from tests.cases.case import Case, f32, inputs, normal, uniform

NAN = np.nan
POSITIVE = inputs(uniform(4, low=0.5, high=2.0), uniform(4, low=0.5, high=2.0))
POWERS = (-0.5, 0.0, 1.0, 1.5, 2.0, 3.0)
SHORT = (f32(1, 2), f32(1))


def every_power(function: Any) -> Any:
    return lambda y_true, y_pred: tuple(function(y_true, y_pred, power=power) for power in POWERS)


def deviances_of_scikit_learn(y_true: Any, y_pred: Any) -> Any:
    pairs = list(zip(y_true, y_pred, strict=True))
    return tuple(np.array([theirs.mean_tweedie_deviance([y], [m], power=p) for y, m in pairs]) for p in POWERS)


def log_errors(y_true: Any, y_pred: Any) -> Any:
    return deviance.mean_squared_log_error(y_true, y_pred), deviance.root_mean_squared_log_error(y_true, y_pred)


def log_errors_by_scikit_learn(y_true: Any, y_pred: Any) -> Any:
    return theirs.mean_squared_log_error(y_true, y_pred), theirs.root_mean_squared_log_error(y_true, y_pred)


def of_quantiles(y_true: Any, y_pred: Any) -> Any:
    return (
        quantile.median_absolute_error(y_true, y_pred),
        quantile.mean_pinball_loss(y_true, y_pred, alpha=0.2),
        quantile.d2_pinball_score(y_true, y_pred, alpha=0.2),
        quantile.d2_absolute_error_score(y_true, y_pred, multioutput="raw_values"),
    )


def of_quantiles_by_scikit_learn(y_true: Any, y_pred: Any) -> Any:
    return (
        theirs.median_absolute_error(y_true, y_pred),
        theirs.mean_pinball_loss(y_true, y_pred, alpha=0.2),
        theirs.d2_pinball_score(y_true, y_pred, alpha=0.2),
        theirs.d2_absolute_error_score(y_true, y_pred, multioutput="raw_values"),
    )


def averaged_quantile(x: Any) -> Any:
    return np.quantile(x, 0.25, axis=0, method="averaged_inverted_cdf")


def similarity_by_scipy(y_true: Any, y_pred: Any) -> Any:
    """The formula of Wang et al. with SciPy's filters over whole images, of which only full windows are kept."""

    def mean_of(x: Any) -> Any:
        return scipy.ndimage.uniform_filter(x, 3, axes=(-3, -2))[..., 1:-1, 1:-1, :]

    ux, uy, size = mean_of(y_true), mean_of(y_pred), 9 / 8
    vx, vy = size * (mean_of(y_true**2) - ux**2), size * (mean_of(y_pred**2) - uy**2)
    vxy = size * (mean_of(y_true * y_pred) - ux * uy)
    values = (2 * ux * uy + 4e-4) * (2 * vxy + 36e-4) / ((ux**2 + uy**2 + 4e-4) * (vx + vy + 36e-4))
    return values.mean(axis=(-3, -2, -1))


def over_batches(y_true: Any, y_pred: Any) -> Any:
    makers = deviance.msle(), deviance.tweedie_deviance(1.5), quantile.pinball_loss(0.2)
    return tuple(measure(metric, y_pred, y_true) for metric in makers)


def over_batches_by_scikit_learn(y_true: Any, y_pred: Any) -> Any:
    return (
        theirs.mean_squared_log_error(y_true, y_pred),
        theirs.mean_tweedie_deviance(y_true, y_pred, power=1.5),
        theirs.mean_pinball_loss(y_true, y_pred, alpha=0.2),
    )


# The deviances of y = 0, -1, 1 from 2, 2, 0, by the formulas of each power.
AT_THE_EDGE = (
    (2 * 2**2.5 / 2.5, 2 * (2**2.5 / 2.5 + 2**1.5 / 1.5), NAN),
    (4, 9, 1),
    (4, NAN, NAN),
    (2 * 2**0.5 / 0.5, NAN, NAN),
    (NAN, NAN, NAN),
    (NAN, NAN, NAN),
)
IMAGE = np.ones((3, 4, 1), np.float32)

CASES: list[Case] = [
    Case(every_power(deviance.tweedie_deviances), POSITIVE, (0, 1), "float32", domain=(1e-2, 1e2), label="deviances",
         oracle=deviances_of_scikit_learn,
         edges=(((f32(0, -1, 1), f32(2, 2, 0)),
                 tuple(f32(*values) for values in AT_THE_EDGE)),)),
    Case(every_power(deviance.d2_tweedie_score), POSITIVE, result="float32", label="explained deviance",
         oracle=every_power(theirs.d2_tweedie_score),
         edges=(((f32(), f32()), (NAN,) * 6), ((f32(1), f32(2)), (NAN,) * 6), ((f32(3, 3), f32(3, 3)), (1,) * 6))),
    Case(deviance.mean_poisson_deviance, POSITIVE, (0, 1), "float32", domain=(1e-2, 1e2),
         oracle=theirs.mean_poisson_deviance,
         edges=(((f32(), f32()), NAN), ((f32(0, 1), f32(3, 1)), 3)), errors=((SHORT, "argument `y_pred`"),)),
    Case(deviance.mean_gamma_deviance, POSITIVE, (0, 1), "float32", domain=(1e-2, 1e2),
         oracle=theirs.mean_gamma_deviance, edges=(((f32(2, 2), f32(2, 2)), 0), ((f32(0, 1), f32(1, 1)), NAN))),
    Case(partial(deviance.mean_tweedie_deviance, power=1.5), POSITIVE, (0, 1), "float32", domain=(1e-2, 1e2),
         oracle=partial(theirs.mean_tweedie_deviance, power=1.5), edges=(((f32(2), f32(2)), 0),)),
    Case(over_batches, POSITIVE, result="float32", oracle=over_batches_by_scikit_learn,
         edges=(((f32(), f32()), (NAN, NAN, NAN)), ((f32(2, 2), f32(2, 2)), (0, 0, 0)))),
    Case(partial(measure, structural_similarity.ssim(2.0, window=3)), inputs(normal(2, 5, 4, 2), normal(2, 5, 4, 2)),
         result="float32", label="ssim", oracle=lambda a, b: np.mean(similarity_by_scipy(a, b)),
         edges=(((IMAGE, IMAGE), 1),)),
    Case(log_errors, POSITIVE, (0, 1), "float32", domain=(-0.5, 1e4), label="log errors",
         oracle=log_errors_by_scikit_learn,
         edges=(((f32(), f32()), (NAN, NAN)), ((f32(1, 2), f32(1, 2)), (0, 0)), ((f32(-2, 1), f32(1, 1)), (NAN, NAN)),
                ((f32(np.e - 1, 0), f32(0, 0)), (0.5, np.sqrt(0.5))))),
    Case(of_quantiles, inputs(normal(5, 2), normal(5, 2)), result="float32", label="quantiles",
         oracle=of_quantiles_by_scikit_learn,
         edges=(((f32([3, 3], [3, 3]), f32([3, 3], [3, 3])), (0, 0, 1, f32(1, 1))),
                ((f32([1, NAN], [2, 3]), f32([1, 3], [1, 3])), (NAN, NAN, NAN, f32(0, NAN))))),
    Case(partial(quantile.weighted_quantile, level=0.25), inputs(normal(8, 3)), result="float32",
         oracle=averaged_quantile, edges=(((f32([np.inf], [1], [np.inf], [2]),), f32(1.5)),
                                          ((np.zeros((0, 2), np.float32),), f32(NAN, NAN)))),
    Case(partial(structural_similarity.structural_similarity, data_range=2.0, window=3),
         inputs(normal(2, 5, 4, 2), normal(2, 5, 4, 2)), (0, 1), "float32", domain=(-1, 1), oracle=similarity_by_scipy,
         edges=(((IMAGE, IMAGE), 1), ((IMAGE, -IMAGE), (-2 + 4e-4) / (2 + 4e-4))),
         errors=(((IMAGE[:2], IMAGE[:2]), r"^images must have at least 3 rows and columns, got \(2, 4\)$"),)),
]  # fmt: skip
