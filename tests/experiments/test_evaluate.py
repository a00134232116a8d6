from pathlib import Path

import numpy as np
import pytest

from experiments.evaluate import class_table, load_run
from fjdl.train.json_files import read_json
from tests.experiments.support import Command, snapshot

SIZES = {"train": 1168, "validation": 269, "test": 360}


@pytest.mark.parametrize("part", SIZES)
def test_every_part_is_evaluated_and_the_run_stays_as_it_is(part: str, trained_run: Path, command: Command) -> None:
    before = snapshot(trained_run)
    outcome = command("evaluate", trained_run, "--part", part)
    assert outcome.status == 0
    assert f"{part} part, {SIZES[part]} examples" in outcome.out
    assert snapshot(trained_run) == before


@pytest.mark.parametrize("part", ["validation", "test"])
def test_the_numbers_are_those_of_the_result(part: str, trained_run: Path, command: Command) -> None:
    result = read_json(trained_run / "result.json")
    words = command("evaluate", trained_run, "--part", part).out.split()
    for name in ("accuracy", "loss", "macro_f1"):
        assert words[words.index(name) + 1] == f"{result[part][name]:.4f}"
    low, high = result[part]["accuracy_interval"]
    assert words[words.index("interval:") + 1 :][:3] == [f"{low:.4f}", "to", f"{high:.4f}"]


def test_the_best_epoch_is_loaded(trained_run: Path) -> None:
    assert int(load_run(trained_run).state.step) == read_json(trained_run / "result.json")["best_step"]


def test_the_table_of_classes_agrees_with_counting_by_hand() -> None:
    rows = class_table(np.array([[3.0, 1.0], [0.0, 4.0]]), ("cat", "dog")).splitlines()
    assert rows[0].split() == ["true", "precision", "recall", "F1", "predicted", "as", "cat", "dog"]
    assert rows[1].split() == ["cat", "1.0000", "0.7500", "0.8571", "3", "1"]
    assert rows[2].split() == ["dog", "0.8000", "1.0000", "0.8889", "0", "4"]
