"""Rows of tables, arrays and folders of images, asked about from the command line."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from experiments.command import load_config
from fjdl.data.embedded import digits
from fjdl.train import load_run
from tests.experiments.support import DATA, USAGE, Command, sentence
from tests.experiments.test_new import as_csv


@pytest.fixture
def table_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> Path:
    """A run on a table that is gone."""
    monkeypatch.chdir(tmp_path)
    as_csv(tmp_path / "a.csv")
    assert command("new", "mine", "--data", "a.csv", "--label", "answer").status == 0
    assert command("train", "mine.py", "--epochs", 20, "--run-dir", "run").status == 0
    for name in ("a.csv", "mine.py"):
        (tmp_path / name).unlink()
    return (tmp_path / "run").rename(tmp_path / "moved")


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_rows_of_a_table_are_told_each_on_a_line_and_bad_ones_are_sentences(
    table_run: Path, tmp_path: Path, command: Command
) -> None:
    text = "size,age,place,code\n1.02,3,a,7\nwide,3,a,7\n0.01,?,elsewhere,x1\n"
    (tmp_path / "new.csv").write_text(text)
    done = command("predict", table_run, "new.csv", "--top", 1)
    assert done.status == DATA
    told = lines(done.out)
    assert [(each["file"], each["row"], each["class"]) for each in told] == [
        ("new.csv", 0, "yes"),
        ("new.csv", 2, "no"),
    ]
    assert all(0.5 < each["probability"] <= 1 for each in told)
    assert [len(each["classes"]) for each in told] == [1, 1]
    first, last = done.err.splitlines()
    assert first.startswith("fjdl: new.csv, line 3, column 'size': the field must be a number, got 'wide'")
    assert last == "fjdl: 1 of what was asked about could not be read"
    assert lines((table_run / "predictions" / "new.jsonl").read_text()) == told
    refused = command("predict", table_run, "new.csv")
    assert refused.status == USAGE
    assert "new.jsonl is there already; --overwrite replaces it" in sentence(refused)
    refused = command("predict", table_run, "none.csv")
    assert refused.status == DATA
    assert "none.csv must be a file" in refused.err
    (tmp_path / "x.png").write_bytes(b"")
    refused = command("predict", table_run, "x.png")
    assert refused.status == USAGE
    assert "reads no images: its data, a.csv, do not say how" in sentence(refused)


def test_a_folder_of_images_and_arrays_are_told_by_a_run_on_images(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    images = digits().test.element(np.arange(4))["image"]
    for number, image in enumerate(images):
        path = tmp_path / "scans" / "ab"[number % 2] / f"{number // 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image[..., 0] * (255 / 16)).round().astype(np.uint8)).save(path)
    np.savez(tmp_path / "few.npz", x=images[..., 0])
    structs = [{"bytes": (tmp_path / "scans" / name).read_bytes(), "path": None} for name in ("a/0.png", "b/0.png")]
    parquet.write_table(pyarrow.table({"image": [*structs, {"bytes": b"torn", "path": None}]}), tmp_path / "in.parquet")
    done = command("predict", run, tmp_path / "scans", tmp_path / "few.npz", tmp_path / "in.parquet")
    assert done.status == DATA
    first, last = done.err.splitlines()
    assert first.startswith(f"fjdl: {tmp_path / 'in.parquet'}, row 2 must be a readable JPEG")
    assert last == "fjdl: 1 of what was asked about could not be read"
    told = lines(done.out)
    assert [Path(each["image"]).parts[-2:] for each in told[:4]] == [
        ("a", "0.png"), ("a", "1.png"), ("b", "0.png"), ("b", "1.png"),
    ]  # fmt: skip
    assert [each["row"] for each in told[4:]] == [0, 1, 2, 3, 0, 1]
    assert [each["probability"] for each in told[8:]] == [each["probability"] for each in told[4:6]]
    probabilities = load_run(run).answers({"image": images}).probabilities
    for place, number in enumerate([0, 2, 1, 3]):
        best = probabilities[number].argmax()
        assert told[place]["class"] == told[4 + number]["class"] == str(best)
        np.testing.assert_allclose(told[4 + number]["probability"], probabilities[number, best], atol=1e-6)
    assert (run / "predictions" / "b" / "1.json").is_file()
    (tmp_path / "empty").mkdir()
    refused = command("predict", run, tmp_path / "empty")
    assert (refused.status, sentence(refused)) == (USAGE, f"{tmp_path / 'empty'} must hold an image, got none")


def test_numbers_are_told_in_units_of_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.csv").write_text("x,y\n" + "".join(f"{k / 10},{1000 + 5 * k}\n" for k in range(80)))
    assert command("new", "line", "--data", "b.csv").status == 0
    assert command("train", "line.py", "--epochs", 60, "--dropout", 0, "--run-dir", "run").status == 0
    done = command("predict", "run", "b.csv")
    assert done.status == 0, done.err
    told = lines(done.out)
    np.testing.assert_allclose([each["prediction"] for each in told], 1000 + 5 * np.arange(80), atol=25)
    assert load_config(Path("line.py"))().told.headline == "rmse"
