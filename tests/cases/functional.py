"""Rows of fjdl.functional."""

from functools import partial

from fjdl import functional
from fjdl.functional import preprocessing
from tests.cases.case import Case, inputs, key, normal

IMAGE = normal(2, 5, 6, 3)
CASES: list[Case] = [
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
]
