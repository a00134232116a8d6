"""What is said of all data of a config, with faults that were put there."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fjdl.data.source import from_arrays
from fjdl.train.json_files import read_json
from fjdl.train.survey import survey
from tests.experiments.support import DATA, USAGE, Command, sentence
from tests.train.toy import recipe, splits as digits_of

CONFIG = '''"""A header."""
from fjdl.data.own import {reader}
from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.optim import sgd
from fjdl.train import Recipe
from fjdl.train.tasks import classification

def recipe(*, seed: int = 0):
    """What it is."""
    task = classification({classes})
    return Recipe(
        splits=lambda: {call}, model=pure(MLP(hidden=(), classes={classes})), inputs=lambda batch: {inputs},
        loss=task.loss, metrics=task.metrics, optimizer=lambda steps: sgd(0.1), epochs=1, batch_size=8, seed=seed,
    )
'''


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table_config(folder: Path, *, test: str = "") -> str:
    """A table of 40 good rows, three bad ones, and one row of the training part again in another."""
    good = [f"{k},{'ab'[k % 2]}" for k in range(40)]
    (folder / "t.csv").write_text("\n".join(["w,kind", *good, "x,a", ",b", "3"]) + "\n")
    (folder / "v.csv").write_text("w,kind\n90,a\n5,b\n91,a\n" + test)
    call = 'table("t.csv", label="kind", validation="v.csv")'
    (folder / "c.py").write_text(CONFIG.format(reader="table", call=call, classes=2, inputs='batch["features"]'))
    return "c.py"


def test_bad_rows_labels_ranges_and_duplicates_are_told(tmp_path: Path, command: Command) -> None:
    done = command("check", table_config(tmp_path))
    assert done.status == DATA
    assert sentence(done) == "examples that cannot be used: 3; examples that are in two parts: 1"
    lines = done.out.splitlines()
    assert lines[0] == "t.csv: 32 train, 3 validation, 8 test"
    assert [line.split() for line in lines[1:4]] == [
        ["class", "train", "validation", "test"], ["a", "16", "2", "4"], ["b", "16", "1", "4"],
    ]  # fmt: skip
    assert "  validation features: float32 [1], 5 to 91, mean 62" in lines
    told = "\n".join(lines)
    assert "  t.csv, line 42, column 'w': the field must be a number, as others of the column are" in told
    assert "  t.csv, line 43, column 'w': the field must not be missing" in told
    assert "  t.csv, line 44: a row must have 2 fields, got 1; the row is left out" in told
    assert " is train " in told


def test_training_goes_on_without_bad_rows_and_keeps_which_they_were(tmp_path: Path, command: Command) -> None:
    config = table_config(tmp_path)
    refused = command("train", config, "--run-dir", "run")
    assert refused.status == DATA
    assert sentence(refused).startswith("t.csv, line 44: a row must have 2 fields")
    done = command("train", config, "--run-dir", "run", "--skip-bad")
    assert done.status == 0, done.err
    left_out = (tmp_path / "run" / "data" / "left_out.txt").read_text().splitlines()
    assert len(left_out) == 3
    assert "left out  3, in data/left_out.txt of the run" in done.out
    assert read_json(tmp_path / "run" / "config.json")["skip_bad"] is True
    assert command("evaluate", "run").status == 0
    refused = command("train", config, "--run-dir", "run")
    assert refused.status == USAGE
    assert "run belongs to another configuration (skip_bad: run has true, asked for nothing)" in sentence(refused)
    assert "is finished, nothing to do" in command("train", config, "--run-dir", "run", "--skip-bad").out


def test_damaged_images_are_left_out_of_memory_and_of_streams(tmp_path: Path, command: Command) -> None:
    for name, grey in (("cat", 0), ("dog", 200)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for k in range(20):
            Image.new("RGB", (4, 4), (grey + k,) * 3).save(tmp_path / "pets" / name / f"{k}.png")
    for path in (tmp_path / "pets" / "dog" / "7.png", tmp_path / "pets" / "cat" / "3.png"):
        path.write_bytes(path.read_bytes()[:30])
    for number, call in enumerate(('image_folder("pets", size=4)', 'in_memory(image_folder("pets", size=4))')):
        text = CONFIG.format(reader="image_folder", call=call, classes=2, inputs='batch["image"] / 255')
        text = text.replace("from fjdl.models", "from fjdl.data.vision import in_memory\nfrom fjdl.models")
        (tmp_path / "c.py").write_text(text)
        done = command("check", "c.py")
        assert done.status == DATA
        assert sentence(done) == "examples that cannot be used: 2"
        assert "pets/dog/7.png must be a readable JPEG" in done.out
        done = command("train", "c.py", "--skip-bad", "--run-dir", f"run{number}")
        assert done.status == 0, done.err
        left_out = (tmp_path / f"run{number}" / "data" / "left_out.txt").read_text()
        assert "cat/3.png" in left_out
        assert "dog/7.png" in left_out


def test_labels_and_numbers_that_break_a_rule_are_left_out_too(tmp_path: Path, command: Command) -> None:
    x = np.arange(60, dtype=np.float32).reshape(20, 3)
    np.savez(tmp_path / "good.npz", x=x, y=np.arange(20) % 3)
    text = CONFIG.format(reader="arrays", call='arrays("good.npz")', classes=2, inputs='batch["features"]')
    (tmp_path / "c.py").write_text(text)
    done = command("check", "c.py")
    assert done.status == DATA
    assert "label must lie in [0, 2), counted from 0, got 2" in done.out
    done = command("train", "c.py", "--skip-bad", "--run-dir", "run")
    assert done.status == 0, done.err
    told = (tmp_path / "run" / "data" / "left_out.txt").read_text().splitlines()
    assert len(told) == int((np.arange(20) % 3 == 2).sum())
    assert all("part, row" in line and line.endswith("part is left out") for line in told)


def test_good_data_are_told_to_be_good(tmp_path: Path, command: Command) -> None:
    np.savez(tmp_path / "good.npz", x=np.arange(60.0).reshape(20, 3), y=np.arange(20) % 2)
    text = CONFIG.format(reader="arrays", call='arrays("good.npz")', classes=2, inputs='batch["features"]')
    (tmp_path / "c.py").write_text(text)
    done = command("check", "c.py")
    assert done.status == 0
    assert done.out.splitlines()[-1] == "nothing is wrong"


def test_a_survey_counts_what_is_not_finite_and_what_occurs_twice() -> None:
    image = np.random.default_rng(0).random((6, 2), np.float32)
    image[3] = image[1]
    image[5, 0] = np.nan
    part = from_arrays({"image": image, "label": np.array([0, 1, 2, 3, 4, 5], np.int32)})
    found = survey(recipe(), digits_of(part))
    assert [(each.first, each.second, each.alike) for each in found.duplicates] == [(("train", 1), ("train", 3), False)]
    assert found.bad == ("train part, row 5: image must be finite, got nan at [0]",)
    told = found.ranges["train"]["image"]
    finite = image[np.isfinite(image)].astype(np.float64)
    assert (told.not_finite, told.shapes, told.dtype) == (1, ((2,),), "float32")
    np.testing.assert_allclose([told.lowest, told.highest, told.mean], [finite.min(), finite.max(), finite.mean()])
    assert found.labels["train"] == dict.fromkeys(range(6), 1)
    assert found.lengths == {"train": 6, "validation": 60, "test": 50}
