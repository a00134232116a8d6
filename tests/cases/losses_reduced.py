"""Rows of reductions, class weights and penalties of fjdl.losses."""

from functools import partial
from typing import Any

import numpy as np

from fjdl.losses import penalties, reduce, weights
from tests.cases.case import Case, f32, i32, inputs, labels, normal, uniform
from tests.cases.losses import NAN, ON_LABELS, tree
from tests.cases.oracles.losses import (
    balanced_of_sklearn,
)


def mean_of_some(values: Any, mask: Any, weights: Any, counts: Any) -> Any:
    return reduce.mean(values, mask=mask, weights=weights, counts=counts)


CASES: list[Case] = [
    Case(
        partial(penalties.l1, strength=0.1),
        inputs(tree),
        **ON_LABELS,
        oracle=lambda t: 0.1 * np.abs(t["dense"]["kernel"]).sum(),
        edges=(
            (({"kernel": f32(0, 1e30)},), np.float32(1e29)),
            (({},), np.float32(0)),
            (({"bias": f32(NAN)},), np.float32(0)),
        ),
    ),
    Case(
        partial(penalties.l2, strength=0.1),
        inputs(tree),
        **ON_LABELS,
        oracle=lambda t: 0.1 * np.square(t["dense"]["kernel"]).sum(),
    ),
    Case(
        partial(penalties.elastic_net, l1=0.1, l2=0.2),
        inputs(tree),
        **ON_LABELS,
        vmappable=False,
        oracle=lambda t: np.sum(0.1 * np.abs(t["dense"]["kernel"]) + 0.2 * np.square(t["dense"]["kernel"])),
    ),
    Case(
        weights.class_weights,
        inputs(lambda rng: rng.integers(1, 9, 4).astype(np.float32)),
        result="float32",
        oracle=balanced_of_sklearn,
        edges=(((f32(3, 0, 1),), f32(2 / 3, 0, 2)), ((i32(0, 0),), f32(0, 0))),
    ),
    Case(
        partial(weights.example_weights, ignore_label=3),
        inputs(labels(4, classes=5), uniform(5)),
        (1,),
        "float32",
        edges=(((i32(3, 0, 255, -1), f32(2, 1)), f32(0, 2, NAN, NAN)),),
    ),
    Case(reduce.weighted_sum, inputs(normal(4, 5)), **ON_LABELS),
    Case(reduce.mean, inputs(normal(4, 5)), **ON_LABELS),
    Case(
        mean_of_some,
        inputs(normal(4, 5), labels(4, 5, classes=2), uniform(4, 5, low=0.5), uniform(4, 5, low=0.5)),
        (0, 2, 3),
        "float32",
        domain=(1e-3, 1e4),
        oracle=lambda v, m, w, c: np.sum(np.asarray(m) * w * v) / np.sum(np.asarray(m) * c),
    ),
]
