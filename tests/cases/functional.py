"""Rows of fjdl.functional."""

from functools import partial

from fjdl import functional
from fjdl.functional import initializers, preprocessing
from tests.cases.case import Case, inputs, key, normal


def initializer(init: initializers.Initializer, label: str) -> Case:
    return Case(partial(init, shape=(3, 3, 4, 5)), inputs(key), result=None, vmappable=label == "normal", label=label)


IMAGE = normal(2, 5, 6, 3)
CASES: list[Case] = [
    Case(functional.identity, inputs(normal(4, 5)), (0,)),
    Case(functional.relu, inputs(normal(4, 5)), (0,)),
    Case(functional.tanh, inputs(normal(4, 5)), (0,)),
    Case(functional.sigmoid, inputs(normal(4, 5)), (0,)),
    Case(functional.softmax, inputs(normal(4, 5)), (0,)),
    Case(functional.log_softmax, inputs(normal(4, 5)), (0,)),
    Case(partial(functional.softmax, axis=0), inputs(normal(4, 5)), (0,), label="axis0"),
    Case(functional.linear, inputs(normal(4, 5), normal(5, 3), normal(3)), (0, 1, 2)),
    Case(functional.conv2d, inputs(IMAGE, normal(3, 3, 3, 4), normal(4)), (0, 1, 2)),
    Case(
        partial(functional.conv2d, stride=2, padding=1, dilation=(1, 2), groups=3),
        inputs(IMAGE, normal(2, 2, 1, 6), normal(6)),
        (0, 1, 2),
        label="grouped",
    ),
    Case(functional.conv2d, inputs(normal(1, 4, 4, 3), normal(3, 3, 3, 20), normal(20)), (0, 1, 2), label="wide"),
    Case(partial(functional.average_pool2d, window=2), inputs(IMAGE), (0,)),
    Case(partial(functional.max_pool2d, window=3, stride=2, padding=1), inputs(IMAGE), (0,)),
    Case(partial(functional.dropout, rate=0.4), inputs(key, normal(4, 5)), (1,)),
    Case(partial(preprocessing.scale_pixels, maximum=9.0), inputs(normal(4, 5)), (), "float32"),
    Case(partial(preprocessing.standardize, mean=0.3, std=0.5), inputs(normal(4, 5)), (0,)),
    initializer(initializers.glorot_uniform(), "glorot_uniform"),
    initializer(initializers.glorot_normal(), "glorot_normal"),
    initializer(initializers.he_uniform(), "he_uniform"),
    initializer(initializers.he_normal(), "he_normal"),
    initializer(initializers.lecun_uniform(), "lecun_uniform"),
    initializer(initializers.lecun_normal(), "lecun_normal"),
    initializer(initializers.normal(0.1), "normal"),
    initializer(initializers.uniform(-1.0, 2.0), "uniform"),
    initializer(initializers.zeros(), "zeros"),
    initializer(initializers.ones(), "ones"),
    initializer(initializers.constant(0.5), "constant"),
]
