"""Configs for one's own data: what is written trains at once, and what does not fit is one sentence."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from experiments.command import load_config
from fjdl.data.source import PARTS, to_arrays
from fjdl.train.json_files import read_json
from tests.data.own.test_parquet_images import png, write
from tests.experiments.support import DATA, USAGE, Command, sentence


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def as_csv(path: Path, rows: int = 60) -> Path:
    """Two kinds that a number tells apart; a number of the row, a gap, words and numbers that name something."""
    age, place, code = [str(k) if k != 3 else "" for k in range(rows)], "abb", ("x1", "7")
    lines = [
        f"{k},{k % 2 + k / 1000},{age[k]},{place[k % 3]},{code[k % 2]},{('no', 'yes')[k % 2]}" for k in range(rows)
    ]
    path.write_text("id,size,age,place,code,answer\n" + "\n".join(lines) + "\n")
    return path


def test_a_table_is_looked_at_and_its_config_trains_at_once(tmp_path: Path, command: Command) -> None:
    as_csv(tmp_path / "a.csv")
    done = command("new", "mine", "--data", "a.csv", "--label", "answer")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        "note: columns that number or name the rows are left out: id",
        "note: columns of numbers and words are taken for names: code",
        "note: fields are missing (1 in 'age'); impute=\"median\" fills them",
        "mine.py is written; python -m experiments.train mine.py trains it, with --help it shows what may be changed",
        "python -m experiments.check mine.py reads all of the data first and says what is wrong with them",
    ]
    recipe = load_config(tmp_path / "mine.py")()
    splits = recipe.splits()
    assert splits.coder.names == ("size", "age", "place=a", "place=b", "code=7", "code=x1")
    assert splits.classes == ("no", "yes")
    done = command("train", "mine.py", "--epochs", 20, "--run-dir", "run")
    assert done.status == 0, done.err
    assert read_json(tmp_path / "run" / "result.json")["test"]["accuracy"] == 1.0
    assert (tmp_path / "run" / "data" / "table.json").read_text() == splits.coder.as_json()


def test_numbers_are_predicted_in_their_own_units(tmp_path: Path, command: Command) -> None:
    rows = "\n".join(f"{k / 10},{1000 + 5 * k}" for k in range(80))
    (tmp_path / "b.tsv").write_text("x,y\n".replace(",", "\t") + rows.replace(",", "\t") + "\n")
    assert command("new", "line", "--data", "b.tsv").status == 0
    recipe = load_config(tmp_path / "line.py")()
    targets = to_arrays(recipe.splits().train)["target"]
    text = (tmp_path / "line.py").read_text()
    assert f"MEAN, SPREAD = {targets.mean():.6g}, {targets.std():.6g}  # of the training part's targets" in text
    assert recipe.told.headline == "rmse"


def test_images_of_a_folder_of_parquet_and_of_arrays(tmp_path: Path, command: Command) -> None:
    for name, grey in (("cat", 0), ("dog", 200)):
        for k in range(10):
            path = tmp_path / "pets" / name / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 7), (grey + k,) * 3).save(path)
    write(tmp_path / "pets.parquet", [{"bytes": png(k), "path": None} for k in range(20)], [0, 1] * 10)
    write(tmp_path / "parts" / "train-0.parquet", [{"bytes": png(k), "path": None} for k in range(20)], [0, 1] * 10)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "grey.npz", x=rng.integers(0, 256, (20, 8, 8), np.uint8), y=np.arange(20) % 2)
    np.savez(tmp_path / "real.npz", x=rng.normal(size=(20, 8, 8, 3)), y=["u", "v"] * 10)
    shapes = {"pets": (16, 16, 3), "pets.parquet": (16, 16, 3), "parts": (16, 16, 3)}
    shapes |= {"grey.npz": (8, 8, 1), "real.npz": (8, 8, 3)}
    for number, (data, shape) in enumerate(shapes.items()):
        done = command("new", f"c{number}", "--data", data, "--size", 16)
        assert done.status == 0, done.err
        recipe = load_config(tmp_path / f"c{number}.py")()
        splits = recipe.splits()
        assert len(splits.classes) == 2
        assert (splits.train.element(0)["image"].shape, splits.train.streamed) == (shape, False)
        seen = np.asarray(recipe.seen(splits.train.element(0)))
        assert seen.dtype == np.float32
        assert np.abs(seen).max() < 5
    assert command("new", "tuned", "--data", "pets", "--size", 16, "--pretrained", "parts").status == 0
    origin = load_config(tmp_path / "tuned.py")().origin
    assert (origin.place, origin.rules) == (tmp_path / "parts", ("logits/.*",))
    assert load_config(tmp_path / "tuned.py")(pretrained=None).origin is None


def test_vectors_of_npz_and_a_table_of_parquet(tmp_path: Path, command: Command) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "v.npz", x=rng.normal(size=(40, 3)), y=rng.normal(size=40))
    parquet.write_table(pyarrow.table({"a": rng.normal(size=40), "label": ["u", "v"] * 20}), tmp_path / "t.parquet")
    for name, data in (("v", "v.npz"), ("t", "t.parquet")):
        assert command("new", name, "--data", data).status == 0
        splits = load_config(tmp_path / f"{name}.py")().splits()
        assert sum(getattr(splits, part).length for part in PARTS) == 40


def test_a_config_is_written_as_the_repository_formats_its_own(tmp_path: Path, command: Command) -> None:
    names = [f"a class with a long name, number {k}" for k in range(9)]
    columns = {"column one": list(range(90)), "other": [1.5] * 90, "label": names * 10}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    assert command("new", "long", "--data", "t.parquet").status == 0
    text = (tmp_path / "long.py").read_text()
    assert max(map(len, text.splitlines())) <= 120
    assert load_config(tmp_path / "long.py")().splits().classes == tuple(sorted(names))
    assert json.dumps(names[0]) in text


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("mine", "--data", "a.csv"), USAGE, "a.csv: --label must name the column of the classes, or --target that of"),
        (("mine", "--data", "a.csv", "--label", "x", "--target", "y"), USAGE, "one of label and target must be given"),
        (("mine", "--data", "a.csv", "--label", "anser"), DATA, "the table must have a column 'anser', .* 'answer'?"),
        (("mine", "--data", "none.csv"), USAGE, "data must be a file or a folder, got none.csv, which does not exist"),
        (("mine", "--data", "a.txt"), DATA, r"a.txt: the name of a table must end in .csv"),
        (("mine", "--data", "empty"), DATA, "empty must hold folders of images, got none"),
        (("mine", "--data", "alone"), DATA, "alone: the label must have at least two classes, got cat alone"),
        (("no name", "--data", "a.csv"), USAGE, "name must be of letters, digits and _, as names of Python are, got"),
        (("taken", "--data", "a.csv"), USAGE, "taken.py is there already; --overwrite replaces it"),
        (("mine", "--data", "a.csv", "--label", "answer", "--pretrained", "alone"), USAGE, "pretrained needs images"),
        (("mine", "--data", "a.csv", "--pretrained", "gone"), USAGE, "must be a run or a file of weights, got gone"),
        (("none/mine", "--data", "a.csv"), USAGE, "none must be a folder, got no such folder"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_writes_nothing(
    arguments: tuple[str, ...], status: int, message: str, tmp_path: Path, command: Command
) -> None:
    as_csv(tmp_path / "a.csv")
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for number in range(20):
        path = tmp_path / "alone" / "cat" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    (tmp_path / "taken.py").write_text("mine")
    refused = command("new", *arguments)
    assert refused.status == status
    assert re.search(message, sentence(refused)), sentence(refused)
    assert not (tmp_path / "mine.py").exists()
    assert (tmp_path / "taken.py").read_text() == "mine"
