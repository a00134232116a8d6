"""Examples that a function makes, as data sets."""

from typing import Any

import numpy as np
import pytest

from fjdl.data.own import examples
from fjdl.data.source import PARTS, Source, from_arrays, to_arrays
from fjdl.data.splits import without_bad
from fjdl.errors import DataError


def one(number: int) -> dict[str, Any]:
    if number == 7:
        raise DataError("page 7 is torn")
    return {"x": np.full(3, number, np.float32), "label": np.int32(number % 2)}


def test_a_function_is_asked_for_each_example_when_it_is_needed() -> None:
    splits = examples((40, one), labels=[k % 2 for k in range(40)], classes=["even", "odd"], validation=0.1, test=0.2)
    assert ([getattr(splits, part).length for part in PARTS], splits.classes) == ([28, 4, 8], ("even", "odd"))
    assert splits.train.streamed
    kept = without_bad(splits)
    assert [sentence.partition(";")[0] for sentence in kept.left_out] == ["page 7 is torn"]
    found = np.concatenate([to_arrays(getattr(kept, part))["x"][:, 0] for part in PARTS])
    assert sorted(found.tolist()) == [k for k in range(40) if k != 7]


def test_parts_may_be_sources_of_their_own() -> None:
    part = from_arrays({"x": np.arange(3.0)})
    splits = examples((6, lambda number: {"x": np.float64(number)}), validation=part, test=part, name="mine")
    assert [getattr(splits, name).length for name in PARTS] == [6, 3, 3]
    assert splits.test is part
    assert splits.name == "mine"


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        ((0, one), {}, "examples: each part must hold an example, got none"),
        (Source(0, one), {}, "examples: each part must hold an example, got none"),
        ((9, lambda number: np.ones(3)), {}, "example 0: an example must be a dictionary of arrays of NumPy, got f64"),
        ((9, lambda number: {"x": [1.0]}), {}, "example 0: an example must be a dictionary of arrays"),
        ((9, lambda number: {}), {}, "example 0: an example must be a dictionary of arrays"),
        ((9, lambda number: {"epoch": np.ones(3)}), {}, "an array must not be called 'epoch', which training provides"),
        ((9, one), {"labels": [0, 1]}, r"there must be 9 labels, one for each example, got \(2,\)"),
        ((3, one), {}, r"examples: every part must hold an example, got parts of"),
    ],
)
def test_what_makes_no_data_set_is_refused(train: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        examples(train, **options)
