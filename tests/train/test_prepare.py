"""What is made of a recipe is made once and handed down: data, program, traces."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.command import Experiment
from experiments.train import train
from fjdl.data.source import Splits, from_arrays
from fjdl.errors import UsageError
from fjdl.models import LogisticRegression
from fjdl.train import fit, prepare as room
from fjdl.train.prepare import check, prepare
from fjdl.train.recipe import Recipe
from fjdl.train.summary import Summary
from tests.train.toy import quick, recipe, splits

CONFIG = {"config": "toy.py", "sha256": "0", "arguments": {}}


def watched(seen: Counter[Any], *, streamed: bool) -> Recipe:
    """A recipe that counts how often its data are loaded, and its model is traced in each mode for each batch."""
    made, parts = recipe(model=quick(LogisticRegression(10)), epochs=2), splits()
    names = ("train", "validation", "test")
    parts = dataclasses.replace(parts, **{name: getattr(parts, name)._replace(streamed=streamed) for name in names})

    def load() -> Splits:
        seen["splits"] += 1
        return parts

    def apply(params: Any, stats: Any, inputs: Any, *, train: bool = False, key: Any = None) -> Any:
        seen["train" if train else "evaluate", inputs.shape[0]] += 1
        return made.model.apply(params, stats, inputs, train=train, key=key)

    return dataclasses.replace(made, splits=load, model=made.model._replace(apply=apply))


@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
def test_a_training_loads_builds_and_traces_once(
    streamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[Any] = Counter()
    compile_program = room.compile_program

    def counted(*args: Any, **options: Any) -> Any:
        seen["programs"] += 1
        return compile_program(*args, **options)

    monkeypatch.setattr(room, "compile_program", counted)
    train(Experiment(watched(seen, streamed=streamed), CONFIG), tmp_path / "run")
    # 60 examples of validation and 50 of test are one batch each, filled up to the 8 devices
    assert seen == {"splits": 1, "programs": 1, ("train", 32): 1, ("evaluate", 64): 1, ("evaluate", 56): 1}


def test_what_the_test_part_refuses_is_refused_before_training(tmp_path: Path) -> None:
    other = from_arrays({"image": np.ones((5, 8, 8, 1), np.float32)})
    data = dataclasses.replace(splits(), test=other)
    with pytest.raises(UsageError, match=r"^metric 'accuracy' must use the keys of a batch, 'image', .*, got 'label'"):
        fit(recipe(splits=lambda: data), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_headline_that_is_no_scalar_is_refused_before_training() -> None:
    with pytest.raises(UsageError, match=r"^headline must name a scalar, got shape \(10, 10\)$"):
        check(prepare(recipe(summary=Summary("confusion"))))


@pytest.mark.by_day_on_pin(1)
def test_fit_needs_a_recipe_and_a_folder(tmp_path: Path) -> None:
    seen: Counter[Any] = Counter()
    state = fit(watched(seen, streamed=False), tmp_path / "new" / "run")
    assert int(state.step) == 8
    assert seen == {"splits": 1, ("train", 32): 1, ("evaluate", 64): 1, ("evaluate", 56): 1}
    assert {path.name for path in (tmp_path / "new" / "run").iterdir()} == {
        "metrics.jsonl", "timing.jsonl", "data.json", "checkpoints", "plots", "LOCK",
    }  # fmt: skip
