"""Rows of the preprocessing functions of fjdl.functional."""

from functools import partial

import numpy as np

from fjdl.functional import encoding, scaling, whitening
from fjdl.functional.scaling import Scaling
from fjdl.functional.whitening import Whitening
from tests.cases.case import Case, i32, inputs, labels, normal, uniform


def _scaling(rng: np.random.Generator) -> Scaling:
    return Scaling(normal(3)(rng), uniform(3, low=0.5, high=2.0)(rng))


def _whitening(rng: np.random.Generator) -> Whitening:
    matrix = normal(3, 3)(rng)
    return Whitening(normal(3)(rng), matrix, np.linalg.inv(matrix).astype(np.float32))


NAN = float("nan")
CASES: list[Case] = [
    Case(scaling.fit_mean, inputs(normal(5, 3)), (0,), "float32"),
    Case(scaling.fit_scale, inputs(normal(5, 3)), (0,), "float32"),
    Case(scaling.fit_standard, inputs(normal(5, 3)), (0,), "float32"),
    Case(partial(scaling.fit_standard, per="channel"), inputs(normal(5, 2, 3)), (0,), "float32", label="channel"),
    Case(
        scaling.fit_min_max,
        inputs(normal(5, 3)),
        result="float32",
        oracle=lambda x: (x.min(axis=0), x.max(axis=0) - x.min(axis=0)),
    ),
    Case(scaling.transform, inputs(_scaling, normal(4, 3)), (1,), oracle=lambda s, x: (x - s.shift) / s.scale),
    Case(scaling.inverse_transform, inputs(_scaling, normal(4, 3)), (1,), oracle=lambda s, x: x * s.scale + s.shift),
    Case(partial(whitening.fit_whitening, kind="zca"), inputs(normal(12, 3)), result=None),
    Case(partial(whitening.patch_whitening, window=2), inputs(normal(2, 4, 4, 2)), result=None, vmappable=False),
    Case(whitening.whiten, inputs(_whitening, normal(4, 3)), (1,), oracle=lambda s, x: (x - s.mean) @ s.matrix),
    Case(whitening.unwhiten, inputs(_whitening, normal(4, 3)), (1,), oracle=lambda s, x: x @ s.inverse + s.mean),
    Case(
        partial(encoding.one_hot, classes=4),
        inputs(labels(5, classes=4)),
        result=None,
        oracle=lambda y: np.eye(4)[y],
        edges=(
            ((i32(-1, 3, 4),), np.array([[NAN] * 4, [0, 0, 0, 1], [NAN] * 4])),
            ((i32(),), np.zeros((0, 4))),
        ),
    ),
    Case(
        partial(encoding.multi_hot, classes=4),
        inputs(labels(5, 2, classes=4)),
        result=None,
        oracle=lambda y: np.maximum(np.eye(4)[y[:, 0]], np.eye(4)[y[:, 1]]),
        edges=(((i32([-1, 3], [-1, -1], [0, 4], [0, -2]),), np.array([[0, 0, 0, 1], [0] * 4, [NAN] * 4, [NAN] * 4])),),
    ),
    Case(partial(encoding.polynomial_features, degree=2), inputs(normal(4, 3)), (0,), domain=(-1e3, 1e3)),
    Case(encoding.flatten, inputs(normal(4, 3, 2)), (0,), oracle=lambda x: x.reshape(4, 6)),
]
