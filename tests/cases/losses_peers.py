"""Rows of fjdl.losses whose equals are in scikit-learn, SciPy and optax, and not in PyTorch."""

from functools import partial
from typing import Any

import jax
import numpy as np

from fjdl.losses import divergence, poly, regression, sparsemax
from tests.cases.case import Case, f32, i32, inputs, labels, normal, uniform
from tests.support import float64

INF, NAN, LOG2 = np.inf, np.nan, float(np.log(2))
LABELLED = inputs(normal(4, 5), labels(4, classes=5))
AMOUNTS = inputs(uniform(4, 5, low=0.1, high=3), uniform(4, 5, low=0.1, high=3))
ON_LABELS = {"differentiable": (0,), "result": "float32"}
ON_BOTH = {"differentiable": (0, 1), "result": "float32"}


def per_row(name: str) -> Any:
    """The error of scikit-learn for each example, whose features are its samples."""

    def call(predictions: Any, targets: Any) -> Any:
        from sklearn import metrics

        return np.array([getattr(metrics, name)(t, p) for p, t in zip(predictions, targets, strict=True)])

    return call


def kl_div_of_scipy(p: Any, q: Any) -> Any:
    from scipy.special import kl_div

    return kl_div(p, q).sum(-1)


def sparsemax_of_optax(logits: Any, labels: Any) -> Any:
    from optax.losses import multiclass_sparsemax_loss

    with float64():
        return np.asarray(multiclass_sparsemax_loss(jax.numpy.asarray(logits), jax.numpy.asarray(labels)))


def poly_of_optax(logits: Any, labels: Any) -> Any:
    from optax.losses import poly_loss_cross_entropy

    with float64():
        return np.asarray(poly_loss_cross_entropy(jax.numpy.asarray(logits), np.eye(5)[labels], epsilon=1.5))


CASES: list[Case] = [
    Case(
        regression.mape_loss,
        inputs(normal(4, 5), uniform(4, 5, low=0.5, high=3)),
        **ON_BOTH,
        vmappable=False,
        oracle=per_row("mean_absolute_percentage_error"),
        edges=(((f32([1.5, -3], [0, 0], [1, 1]), f32([1, -2], [0, 0], [0, 1])), f32(0.5, 0, 2.0**51)),),
    ),
    Case(
        regression.msle_loss,
        AMOUNTS,
        **ON_BOTH,
        domain=(0.0, 1e4),
        oracle=per_row("mean_squared_log_error"),
        edges=(
            ((f32([0], [1], [1e30]), f32([1], [0], [1e30])), f32(LOG2**2, LOG2**2, 0)),
            ((f32([-1], [-3], [0], [INF], [NAN]), f32([-1], [-2], [-1.5], [1], [1])), f32(NAN, NAN, NAN, INF, NAN)),
        ),
    ),
    Case(
        divergence.generalized_kl_divergence,
        AMOUNTS,
        **ON_BOTH,
        domain=(0.0, 1e4),
        oracle=kl_div_of_scipy,
        edges=(
            ((f32([0, 0], [2, 0], [1, 1]), f32([0, 3], [1, 0], [1, 1])), f32(3, 2 * LOG2 - 1, 0)),
            ((f32([1, 1]), f32([0, 1])), f32(INF)),
            ((f32([-1, 1]), f32([1, 1])), f32(NAN)),
        ),
    ),
    Case(
        sparsemax.sparsemax_loss,
        LABELLED,
        **ON_LABELS,
        oracle=sparsemax_of_optax,
        edges=(
            ((f32([1, 0, -5], [0, 1, 0], [0, 0, -INF]), i32(0, 0, 0)), f32(0, 1, 0.25)),
            ((f32([-INF, -INF], [INF, 0], [-INF, 0], [0, 1e30]), i32(0, 0, 0, 0)), f32(0, 0, INF, 1e30)),
            ((f32([0, 0], [0, 0], [0, NAN]), i32(2, -1, 0)), f32(NAN, NAN, NAN)),
        ),
    ),
    Case(
        partial(poly.poly_loss, epsilon=1.5),
        LABELLED,
        **ON_LABELS,
        oracle=poly_of_optax,
        edges=(
            ((f32([0, 0], [INF, 0], [-INF, -INF], [0, -INF]), i32(0, 0, 0, 1)), f32(LOG2 + 0.75, 0, 0, INF)),
            ((f32([0, 0], [0, 0]), i32(2, -1)), f32(NAN, NAN)),
        ),
    ),
]
