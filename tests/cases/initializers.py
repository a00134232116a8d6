"""Rows of initializers; what they draw is tested in tests/functional/test_initializers.py."""

from functools import partial

import jax
import numpy as np

from fjdl.functional import initializers
from tests.cases.case import Case, inputs, key

KEY = jax.random.key(0)


def row(init: initializers.Initializer, label: str, shape: tuple[int, ...] = (3, 3, 4, 5), **case) -> Case:
    return Case(partial(init, shape=shape), inputs(key), result=None, vmappable=label == "normal", label=label, **case)


def fixed(expected):
    """The oracle of an initializer that ignores its key."""
    return lambda key: np.asarray(expected, np.float64)


CASES: list[Case] = [
    row(initializers.glorot_uniform(), "glorot_uniform"),
    row(initializers.glorot_normal(), "glorot_normal"),
    row(initializers.he_uniform(), "he_uniform"),
    row(initializers.he_normal(), "he_normal"),
    row(initializers.lecun_uniform(), "lecun_uniform"),
    row(initializers.lecun_normal(), "lecun_normal"),
    row(initializers.variance_scaling(1.5, mode="fan_out", distribution="truncated_normal"), "variance_scaling"),
    row(initializers.normal(0.1), "normal"),
    row(initializers.truncated_normal(0.1), "truncated_normal"),
    row(initializers.uniform(-1.0, 2.0), "uniform"),
    row(initializers.orthogonal(), "orthogonal"),
    row(initializers.identity(gain=2.0), "identity", (2, 3), oracle=fixed([[2, 0, 0], [0, 2, 0]])),
    row(initializers.dirac(), "dirac", (3, 2, 3), oracle=fixed([np.zeros((2, 3)), np.eye(2, 3), np.zeros((2, 3))])),
    row(initializers.bilinear(), "bilinear", (2, 1, 2), oracle=fixed([[[0.5, 0]], [[0.5, 0]]])),
    row(initializers.zeros(), "zeros", (2,), oracle=fixed([0, 0])),
    row(initializers.ones(), "ones", (2,), oracle=fixed([1, 1])),
    row(initializers.constant(0.5), "constant", (2,), oracle=fixed([0.5, 0.5])),
]
