"""Data that are not what a recipe takes them for are found before training, and the sentence says where."""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.data.source import Source, Splits, from_arrays, to_arrays
from fjdl.errors import DataError
from fjdl.models import LogisticRegression
from fjdl.train import fit, inspection, learning_rate_range
from fjdl.train.inspection import check_data
from fjdl.train.recipe import Recipe
from fjdl.train.tasks import classification, regression
from tests.train.toy import devices, quick, recipe, source, splits, spoilt

TABLE = recipe(inputs=lambda batch: batch["features"], model=quick(LogisticRegression(10)))


def table(**changes: tuple[Any, Any]) -> Source:
    """Forty rows of three features, with `name=(place, value)` put into the arrays."""
    arrays: dict[str, np.ndarray] = {
        "features": np.ones((40, 3), np.float32),
        "label": np.arange(40, dtype=np.int32) % 10,
        "target": np.ones((40, 2), np.float32),
    }
    for name, (place, value) in changes.items():
        arrays[name][place] = value
    return from_arrays(arrays)


def parts(**sources: Source) -> Splits:
    return dataclasses.replace(splits(table()), **{"validation": table(), "test": table(), **sources})


def labels_from_one() -> Splits:
    arrays = to_arrays(source(0, 100))
    return splits(from_arrays({**arrays, "label": arrays["label"] + 1}))


REGRESSION = dataclasses.replace(TABLE, **regression()._asdict(), monitor="loss", mode="min")
FIVE = dataclasses.replace(TABLE, loss=classification(5).loss)
WRONG: dict[str, tuple[Recipe, Splits, str]] = {
    "labels from 1": (
        recipe(),
        labels_from_one(),
        f"train part, row {int(np.argmax(to_arrays(source(0, 100))['label'] == 9))}: "
        "label must lie in [0, 10), counted from 0, got 10",
    ),
    "too few classes": (FIVE, parts(), "train part, row 5: label must lie in [0, 5), counted from 0, got 5"),
    "a negative label": (
        TABLE, parts(validation=table(label=(7, -1))),
        "validation part, row 7: label must lie in [0, 10), counted from 0, got -1",
    ),
    "a missing value": (
        TABLE, parts(train=table(features=((33, 2), np.nan))),
        "train part, row 33: features must be finite, got nan at [2]",
    ),
    "an infinity in the test part": (
        TABLE, parts(test=table(features=((39, 0), -np.inf))),
        "test part, row 39: features must be finite, got -inf at [0]",
    ),
    "a target": (
        REGRESSION, parts(train=table(target=((4, 1), np.nan))),
        "train part, row 4: target must be finite, got nan at [1]",
    ),
    "a pixel": (recipe(), spoilt(17), "train part, row 17: image must be finite, got nan at [3, 4, 0]"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("together", [2**26, 64], ids=["at once", "few rows at a time"])
def test_the_sentence_names_part_row_and_value(case: str, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, data, message = WRONG[case]
    monkeypatch.setattr(inspection, "_BYTES", together)
    with pytest.raises(DataError) as error:
        check_data(made, data)
    assert str(error.value) == message
    assert error.value.exit_status == 3


def test_nothing_is_trained_or_written_on_such_data(tmp_path: Path) -> None:
    made, data, message = WRONG["a pixel"]
    with pytest.raises(DataError) as error:
        fit(dataclasses.replace(made, splits=lambda: data), tmp_path, devices=devices())
    assert str(error.value) == message
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match="row 17"):
        learning_rate_range(dataclasses.replace(made, splits=lambda: data), lambda rate: made.optimizer(1))


def test_a_number_that_the_model_does_not_see_may_be_missing() -> None:
    check_data(TABLE, parts(train=table(target=((4, 1), np.nan))))
    repaired = dataclasses.replace(TABLE, inputs=lambda batch: jnp.nan_to_num(batch["features"]))
    check_data(repaired, parts(train=table(features=((33, 2), np.nan))))


def test_a_loss_without_requirements_takes_any_label() -> None:
    check_data(dataclasses.replace(FIVE, loss=lambda outputs, batch: outputs[:, 0]), parts())


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_streamed_part_is_looked_at_while_it_is_read(part: str, tmp_path: Path) -> None:
    spoilt_part = table(features=((33, 2), np.nan))._replace(streamed=True)
    data = parts(**{part: spoilt_part})
    made = dataclasses.replace(TABLE, splits=lambda: data, batch_size=8, epochs=1)
    with pytest.raises(DataError) as error:
        fit(made, tmp_path, devices=devices())
    assert str(error.value) == f"{part} part, row 33: features must be finite, got nan at [2]"
