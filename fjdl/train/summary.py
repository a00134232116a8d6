"""How the results of a task are told: which one is the headline, and what else is said of them."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from fjdl.boxes import Detections
from fjdl.train.answers import Answer
from fjdl.typing import Array

INTERVAL = "_interval"  # behind the name of a proportion: its 95 % interval, beside the `count` of which it is one
COUNT = "_count"  # behind the name of a proportion: how many there are, where `count` is another number
RANGE = "_range"  # behind the name of another number: its 95 % interval, beside the `count` it was computed from


def _nothing(results: Mapping[str, Any]) -> dict[str, Any]:
    del results
    return {}


class Summary(NamedTuple):
    """What is told of the results of an evaluation, whatever the task is.

    A proportion of `count` examples is told with its 95 % interval by a number of the name with `_interval` behind it:
    `{"accuracy_interval": [0.8, 0.9], "count": 100}`, or of `accuracy_count` where that
    is given. Commands show such a headline in percent. The 95 % interval of another number, such as a perplexity, has
    `_range` behind the name.
    """

    headline: str  # the metric that tables and comparisons show, a scalar; "loss" is one too
    better: Literal["max", "min"] = "max"  # which of two headlines is the better
    numbers: Callable[[Mapping[str, Any]], dict[str, Any]] = _nothing  # of the results: more of them, as plain numbers
    confusion: str | None = None  # the metric that is a confusion matrix of the data's classes, rows = true
    probabilities: Callable[[Any], Array] | None = None  # of outputs, that of each class of each example [n, classes]
    detections: Callable[[Any], Detections] | None = None  # of outputs, what is found in each image
    answer: Callable[[Any, Mapping[str, Array]], Answer] | None = None  # of outputs and batch, of any kind


def summarized(summary: Summary, results: Mapping[str, Any]) -> dict[str, Any]:
    """Results as plain numbers, and what the summary adds to them."""
    return {**{name: np.asarray(value).tolist() for name, value in results.items()}, **summary.numbers(results)}


def intervals(numbers: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each number that has one among summarized numbers, by its name."""
    return {**proportions(numbers), **_with(RANGE, numbers)}


def proportions(numbers: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each proportion among summarized numbers, by its name."""
    return _with(INTERVAL, numbers)


def _with(suffix: str, numbers: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    names = [name.removesuffix(suffix) for name in numbers if name.endswith(suffix)]
    return {name: tuple(numbers[name + suffix]) for name in names if name in numbers}
