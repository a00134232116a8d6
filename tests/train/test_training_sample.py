"""Some training examples are measured after each epoch, by the program that measures the validation part."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fjdl.data.orders import Order, in_order, lanes
from fjdl.data.source import Source, Splits, from_arrays, one_by_one, to_arrays
from fjdl.train.json_files import read_jsonl
from fjdl.train.training_sample import measured_sample, training_sample
from tests.train.runs import train
from tests.train.toy import program, recipe, source, splits


def of(**parts: Source) -> Splits:
    return dataclasses.replace(splits(), **parts)


def labels(source: Source | None) -> list[int]:
    assert source is not None
    return to_arrays(source)["label"].tolist()


def numbered(length: int) -> Source:
    return from_arrays({"label": np.arange(length)})


def test_as_many_examples_as_the_validation_part_has_lie_evenly_spaced() -> None:
    assert labels(training_sample(recipe(), of(train=numbered(10), validation=numbered(4)))) == [0, 2, 5, 7]


def test_all_are_measured_where_there_are_fewer() -> None:
    assert labels(training_sample(recipe(), of(train=numbered(3), validation=numbered(4)))) == [0, 1, 2]


def test_the_first_ones_are_measured_where_sequences_go_on() -> None:
    going_on = recipe(evaluation_order=lanes(2))
    assert labels(training_sample(going_on, of(train=numbered(10), validation=numbered(4)))) == [0, 1, 2, 3]
    assert training_sample(going_on, of(train=numbered(2), validation=numbered(4))) is None


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"training_sample": False}, {}),
        ({"evaluation_order": Order(in_order.rows)}, {}),
        ({}, {"train": one_by_one(9, source(0, 9).element)._replace(streamed=True)}),
        ({}, {"train": from_arrays({"image": np.zeros((9, 4, 4, 1), np.float32), "label": np.zeros(9, np.int32)})}),
    ],
    ids=["the recipe says so", "an order of its own", "streamed", "other shapes"],
)
def test_none_are_measured(changes: dict[str, Any], parts: dict[str, Source]) -> None:
    assert training_sample(recipe(), splits()) is not None
    measured = measured_sample(recipe(**changes), of(**parts), program(recipe()).evaluator)
    assert training_sample(recipe(**changes), of(**parts)) is None
    assert measured((), ()) == {}


def test_records_tell_it_and_nothing_is_compiled_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, measured = recipe(splits=lambda: of(validation=source(40, 60), train=source(40, 60)), epochs=1), []

    def watched(recipe: Any, splits: Any, evaluator: Any) -> Any:
        measured.append(evaluator)
        return measured_sample(recipe, splits, evaluator)

    monkeypatch.setattr("fjdl.train.loop.measured_sample", watched)
    train(asked, tmp_path)
    (record,) = read_jsonl(tmp_path / "metrics.jsonl")
    assert record["train_sample_accuracy"] == record["validation_accuracy"]  # of the same examples
    assert record["train_sample_loss"] == record["validation_loss"]
    assert measured[0].whole._cache_size() == 1
