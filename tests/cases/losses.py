"""Rows of fjdl.losses: regression, classification, penalties and their reduction."""

from functools import partial
from typing import Any

import numpy as np

from fjdl.losses import classification, divergence, focal, margin, probabilities, regression
from tests.cases.case import Case, f32, i32, inputs, labels, normal, of_torch, uniform
from tests.cases.oracles.losses import (
    cross_entropy_of_weighted_classes,
    each,
    entropy_of_scipy,
    focal_of_classes,
    focal_of_torchvision,
    hinge_of_sklearn,
    hinge_of_torch,
    js_of_scipy,
    kl_of_scipy,
    kl_of_torch,
    log_cosh_of_numpy,
    per_feature,
    pinball_of_sklearn,
)

INF, NAN, LOG2 = np.inf, np.nan, float(np.log(2))


HIGHEST = -float(np.log(1e-12))


UNIT = (0.0, 1.0)


ROWS = inputs(normal(4, 5), normal(4, 5))


LABELLED = inputs(normal(4, 5), labels(4, classes=5))


PROBABILITIES = inputs(uniform(4, 5, low=0.1, high=0.9), uniform(4, 5, low=0.1, high=0.9))


ON_LABELS = {"differentiable": (0,), "result": "float32"}


ON_BOTH = {"differentiable": (0, 1), "result": "float32"}


def distribution(*shape: int) -> Any:
    return lambda rng: rng.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(np.float32)


def tree(rng: np.random.Generator) -> dict[str, Any]:
    return {"dense": {"kernel": normal(3, 2)(rng), "bias": normal(2)(rng)}, "norm": {"scale": normal(2)(rng)}}


def weighted_cross_entropy(logits: Any, labels: Any, class_weights: Any) -> Any:
    return classification.softmax_cross_entropy(
        logits, labels, smoothing=0.1, class_weights=class_weights, ignore_label=0
    )


def class_balanced_focal(logits: Any, labels: Any, alpha: Any) -> Any:
    return focal.softmax_focal_loss(logits, labels, gamma=0.5, alpha=alpha)


REGRESSION = [
    Case(regression.mse_loss, ROWS, **ON_BOTH, oracle=per_feature("mse_loss")),
    Case(
        regression.mae_loss,
        ROWS,
        **ON_BOTH,
        vmappable=False,
        oracle=per_feature("l1_loss"),
        edges=(((f32([1e30, 1], [INF, 1], [NAN, 1]), f32([-1e30, 1], [0, 0], [0, 0])), f32(1e30, INF, NAN)),),
        errors=(((f32([1], [2]), f32(1, 2)), r"^mae_loss: argument `targets` must be "),),
    ),
    Case(
        partial(regression.huber_loss, delta=0.7),
        ROWS,
        **ON_BOTH,
        vmappable=False,
        oracle=per_feature("huber_loss", delta=0.7),
        edges=(((f32([1e30], [INF], [0.7]), f32([-1e30], [0], [0])), f32(1.4e30, INF, 0.245)),),
    ),
    Case(
        partial(regression.smooth_l1_loss, beta=0.7),
        ROWS,
        **ON_BOTH,
        vmappable=False,
        oracle=per_feature("smooth_l1_loss", beta=0.7),
        edges=(((f32([1e30], [INF], [0.7]), f32([-1e30], [0], [0])), f32(2e30, INF, 0.35)),),
    ),
    Case(
        regression.log_cosh_loss,
        ROWS,
        **ON_BOTH,
        oracle=log_cosh_of_numpy,
        edges=(((f32([89], [1e30], [-INF], [1e-3]), f32([0], [0], [0], [0])), f32(89 - LOG2, 1e30, INF, 5e-7)),),
    ),
    Case(
        partial(regression.quantile_loss, quantiles=0.3),
        ROWS,
        **ON_BOTH,
        oracle=pinball_of_sklearn,
        edges=(((f32([1e30], [0], [2]), f32([0], [1e30], [2])), f32(7e29, 3e29, 0)),),
    ),
    Case(
        partial(regression.poisson_nll_loss, full=True),
        inputs(normal(4, 5), uniform(4, 5, low=2, high=9)),
        **ON_BOTH,
        oracle=per_feature("poisson_nll_loss", full=True),
        edges=(((f32([-INF], [-INF], [1e30], [0]), f32([0], [1], [1e30], [1])), f32(0, INF, INF, 1)),),
    ),
]


CROSS_ENTROPIES = [
    Case(
        classification.softmax_cross_entropy,
        LABELLED,
        **ON_LABELS,
        oracle=each("cross_entropy"),
        edges=(
            ((f32([-INF, -INF], [0, -INF]), i32(0, 0)), f32(0, 0)),
            ((f32([0, 0], [0, 0]), i32(-1, 2)), f32(NAN, NAN)),
        ),
    ),
    Case(
        weighted_cross_entropy,
        inputs(normal(4, 5), labels(4, classes=5), uniform(5, low=0.5, high=2.0)),
        (0, 2),
        "float32",
        oracle=of_torch(cross_entropy_of_weighted_classes),
        edges=(((f32([NAN, INF], [0, 0]), i32(0, 1), f32(1, 1)), f32(0, LOG2)),),
    ),
    Case(
        classification.soft_cross_entropy,
        inputs(normal(4, 5), uniform(4, 5)),
        **ON_BOTH,
        oracle=each("cross_entropy"),
        edges=(((f32([0, 0, -INF], [-INF, -INF, -INF]), f32([0.5, 0.5, 0], [1, 0, 0])), f32(LOG2, 0)),),
    ),
    Case(
        classification.sigmoid_cross_entropy,
        inputs(normal(4, 5), uniform(4, 5)),
        **ON_BOTH,
        oracle=each("binary_cross_entropy_with_logits"),
        edges=(((f32(INF, -INF, INF, -INF, 0), f32(1, 0, 0, 1, 1)), f32(0, 0, INF, INF, LOG2)),),
    ),
    Case(
        probabilities.binary_cross_entropy,
        PROBABILITIES,
        **ON_BOTH,
        domain=UNIT,
        oracle=each("binary_cross_entropy"),
        edges=(((f32(0, 1, 1, 0, NAN), f32(0, 1, 0, 1, 0)), f32(0, 0, HIGHEST, HIGHEST, NAN)),),
    ),
    Case(
        probabilities.categorical_cross_entropy,
        PROBABILITIES,
        **ON_BOTH,
        domain=UNIT,
        oracle=lambda p, t: -np.sum(t * np.log(p), axis=-1),
        edges=(((f32([1, 0], [1, 0]), f32([1, 0], [0, 1])), f32(0, HIGHEST)),),
    ),
    Case(
        probabilities.sparse_categorical_cross_entropy,
        inputs(uniform(4, 5, low=0.1, high=0.9), labels(4, classes=5)),
        **ON_LABELS,
        domain=UNIT,
        oracle=of_torch(lambda p, y: _nll(p, y)),
        edges=(((f32([1, 0], [1, 0]), i32(0, 1)), f32(0, HIGHEST)),),
    ),
]


DIVERGENCES = [
    Case(
        divergence.entropy,
        inputs(uniform(4, 5, low=0.1, high=0.9)),
        **ON_LABELS,
        domain=UNIT,
        oracle=entropy_of_scipy,
        edges=(((f32([1, 0, 0], [0, 0.5, 0.5]),), f32(0, LOG2)),),
    ),
    Case(
        divergence.kl_divergence,
        inputs(distribution(4, 5), uniform(4, 5, low=0.1, high=0.9)),
        **ON_BOTH,
        domain=UNIT,
        oracle=kl_of_scipy,
        edges=(
            (
                (f32([1, 0], [0.5, 0.5], [0, 1], [0.9, 0.1]), f32([0.5, 0.5], [1, 0], [0, 1], [0.9, 0.1])),
                f32(LOG2, INF, 0, 0),
            ),
        ),
        errors=(((f32([1, -1]), f32([1, 0])), r"^p must hold probabilities, got an entry -1; kl_divergence_with"),),
    ),
    Case(
        divergence.kl_divergence_with_logits,
        inputs(normal(4, 5), uniform(4, 5, low=0.1, high=0.9)),
        **ON_BOTH,
        domain=UNIT,
        oracle=of_torch(kl_of_torch),
        edges=(
            ((f32([0, -INF], [-INF, -INF], [3, 3]), f32([1, 0], [1, 0], [0.5, 0.5])), f32(0, 0, 0)),
            ((f32([0, -INF]), f32([0.5, 0.5])), f32(INF)),
        ),
    ),
    Case(
        divergence.js_divergence,
        PROBABILITIES,
        **ON_BOTH,
        domain=UNIT,
        vmappable=False,
        oracle=js_of_scipy,
        edges=(((f32([1, 0], [0, 1]), f32([0, 1], [0, 1])), f32(LOG2, 0)),),
    ),
]


MARGINS = [
    Case(
        margin.hinge_loss,
        inputs(normal(4, 5), labels(4, 5, classes=2)),
        **ON_LABELS,
        oracle=of_torch(hinge_of_torch),
        edges=(((f32(0.5, 0.5, INF, -INF, NAN), f32(1, -1, 1, 1, 1)), f32(0.5, 1.5, 0, INF, NAN)),),
    ),
    Case(
        margin.squared_hinge_loss,
        inputs(normal(4, 5), labels(4, 5, classes=2)),
        **ON_LABELS,
        vmappable=False,
        oracle=of_torch(lambda s, t: hinge_of_torch(s, t) ** 2),
    ),
    Case(
        margin.crammer_singer_loss,
        LABELLED,
        **ON_LABELS,
        oracle=hinge_of_sklearn,
        edges=(((f32([3], [1]), i32(0, 1)), f32(0, NAN)), ((f32([2, -INF, 1.5]), i32(0)), f32(0.5))),
    ),
    Case(margin.multi_margin_loss, LABELLED, **ON_LABELS, oracle=each("multi_margin_loss")),
    Case(
        partial(focal.sigmoid_focal_loss, alpha=0.25),
        inputs(normal(4, 5), uniform(4, 5)),
        **ON_LABELS,
        oracle=of_torch(focal_of_torchvision),
        edges=(((f32(INF, -INF, INF, -INF), f32(1, 0, 0, 1)), f32(0, 0, INF, INF)),),
    ),
    Case(
        class_balanced_focal,
        inputs(normal(4, 5), labels(4, classes=5), uniform(5)),
        (0, 2),
        "float32",
        oracle=of_torch(focal_of_classes),
        edges=(
            ((f32([-INF, -INF], [INF, 0], [INF, 0], [0, 200]), i32(0, 0, 1, 0), f32(1, 1)), f32(0, 0, INF, 200)),
            ((f32([0, 0]), i32(2), f32(1, 1)), f32(NAN)),
        ),
    ),
]


def _nll(p: Any, labels: Any) -> Any:
    import torch

    return torch.nn.functional.nll_loss(torch.log(p), labels, reduction="none")


CASES: list[Case] = [*REGRESSION, *CROSS_ENTROPIES, *DIVERGENCES, *MARGINS]
