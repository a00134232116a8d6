"""A run in a script: from anywhere, without its data, with the answers that the training's own model gives."""

import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

import fjdl
from fjdl.data import own
from fjdl.data.source import Splits, to_arrays
from fjdl.errors import DataError, StorageError, UsageError
from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.optim import sgd
from fjdl.train import Recipe, TrainedRun, fit, load_run
from fjdl.train.answers import Classified, Estimated
from fjdl.train.description import described, keep_description, read_description
from fjdl.train.rundir import RunDirectory, open_run
from fjdl.train.tasks import regression

CONFIG = '''"""A config whose data are gone when the run is read."""
from pathlib import Path
from fjdl.data import own
from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.optim import sgd
from fjdl.train import Recipe
from fjdl.train.tasks import classification

def recipe(*, seed: int = 0, data: Path = Path("t.csv")):
    """What it is."""
    task = classification(2)
    return Recipe(
        splits=lambda: own.table(data, label="kind", standardize=True), model=pure(MLP(hidden=(), classes=2)),
        inputs=lambda batch: batch["features"], loss=task.loss, metrics=task.metrics,
        optimizer=lambda steps: sgd(1.0), epochs=4, batch_size=16, seed=seed, ema=0.5,
    )
'''


def rows(count: int) -> str:
    return "w,c,kind\n" + "".join(f"{k / 10},{'rb'[k % 2]},{'ab'[2 * k >= count]}\n" for k in range(count))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as `experiments.train` leaves it, in another folder than it was trained in, and without its data."""
    from fjdl.train.config_files import built, load_config

    folder = tmp_path_factory.mktemp("trained")
    (folder / "t.csv").write_text(rows(60))
    (folder / "c.py").write_text(CONFIG)
    arguments = {"seed": 0, "data": str(folder / "t.csv")}
    recipe = built(load_config(folder / "c.py"), arguments)
    config = {"config": str(folder / "c.py"), "sha256": "0", "arguments": arguments}
    with open_run(folder / "run", command=["test"], config=config, text=CONFIG) as opened:
        fit(recipe, opened, devices=jax.devices()[:1])
    moved = tmp_path_factory.mktemp("moved") / "elsewhere"
    shutil.move(folder / "run", moved)
    shutil.rmtree(folder)
    return moved


def test_a_run_is_read_after_it_was_moved_and_its_data_are_gone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = fjdl.load_run(run)
    assert isinstance(found, TrainedRun)
    assert (found.classes, found.data.examples) == (("a", "b"), {"train": 40, "validation": 8, "test": 12})
    assert found.data.coder is not None
    Path("new.csv").write_text("c,w\nr,0.5\nb,5.5\nr,3.5\n")
    further = found.rows("new.csv")
    answer = found.answers(further.source)
    assert isinstance(answer, Classified)
    features = to_arrays(further.source)["features"]
    kernel, bias = found.params["logits"]["kernel"], found.params["logits"]["bias"]
    logits = features @ np.asarray(kernel) + np.asarray(bias)
    expected = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    np.testing.assert_allclose(answer.probabilities, expected, rtol=1e-5)
    assert [found.classes[k] for k in answer.probabilities.argmax(axis=1)] == ["a", "b", "b"]
    outputs, _ = found.model.apply(found.params, found.stats, found.recipe.inputs({"features": features}), train=False)
    np.testing.assert_allclose(outputs, logits, rtol=1e-5)
    one = found.answer({"features": features[1]})
    np.testing.assert_allclose(one.probabilities, expected[1:2], rtol=1e-5)


def test_many_examples_few_and_none_have_their_answers(run: Path) -> None:
    found = load_run(run)
    features = np.random.default_rng(0).normal(size=(700, 3)).astype(np.float32)
    whole = found.answers({"features": features}).probabilities
    assert whole.shape == (700, 2)
    for count in (0, 1, 3, 257):
        np.testing.assert_allclose(
            found.answers({"features": features[:count]}).probabilities, whole[:count], rtol=1e-5
        )


def test_what_a_run_cannot_read_is_one_sentence(run: Path, tmp_path: Path) -> None:
    found = load_run(run)
    with pytest.raises(UsageError, match=r"elsewhere reads no images: its data, t\.csv, do not say how"):
        found.picture(tmp_path / "a.png")
    (tmp_path / "bad.csv").write_text("c,w\nr,much\n")
    with pytest.raises(DataError, match=r"bad\.csv, line 2, column 'w': the field must be a number, got 'much'"):
        found.rows(tmp_path / "bad.csv")
    with pytest.raises(UsageError, match=r"is not a run directory: it has no config\.json"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["config.py", "data.json", "data/table.json", "config.json"])
def test_a_damaged_file_of_a_run_is_never_read_in_silence(name: str, run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises((StorageError, DataError), match=name.replace(".", r"\.")):
        load_run(copy)


def splits(reader: Any) -> Splits:
    part = own.arrays({"x": np.linspace(-1, 1, 40), "y": np.linspace(-3, 3, 40)}).train
    return Splits(name="line", train=part, validation=part, test=part, classes=(), reader=reader)


def line(reader: Any = None) -> Recipe:
    task = regression()
    return Recipe(
        splits=lambda: splits(reader), model=pure(MLP(hidden=(), classes=1)), inputs=lambda batch: batch["features"],
        loss=task.loss, metrics=task.metrics, optimizer=lambda steps: sgd(0.2), epochs=30, batch_size=8,
        monitor="loss", mode="min",
    )  # fmt: skip


def test_a_run_of_fit_needs_its_recipe_and_tells_numbers_and_npz(tmp_path: Path) -> None:
    fit(line(), tmp_path / "run", devices=jax.devices()[:1])
    found = load_run(tmp_path / "run", recipe=line())
    np.savez(tmp_path / "new.npz", x=np.array([-1.0, 0.5]))
    answer = found.answers(found.rows(tmp_path / "new.npz").source)
    assert isinstance(answer, Estimated)
    np.testing.assert_allclose(answer.values, [[-3], [1.5]], atol=1e-2)
    np.savez(tmp_path / "wide.npz", x=np.ones((2, 3)))
    with pytest.raises(DataError, match=r"must have arrays features \[1\], target \[\], got features \[3\]"):
        found.rows(tmp_path / "wide.npz")
    with pytest.raises(UsageError, match="reads no tables: its data, line, are none"):
        found.rows(tmp_path / "a.csv")


def test_a_reader_of_ones_own_is_made_by_the_config(tmp_path: Path) -> None:
    run = RunDirectory(path=tmp_path)
    keep_description(run, splits(lambda path: None), steps_per_epoch=3)
    assert read_description(run) is None


@pytest.mark.parametrize("kind", ["square", "fitted"])
def test_a_description_comes_back_with_its_reader(kind: str, tmp_path: Path) -> None:
    from fjdl.data.image_folder import square_reader
    from fjdl.data.vision import fitted_reader

    reader = square_reader(size=4, channels=1, levels=16) if kind == "square" else fitted_reader((4, 6), fill=0)
    run = RunDirectory(path=tmp_path)
    keep_description(run, splits(reader), steps_per_epoch=3)
    found = read_description(run)
    assert found == described(splits(reader), steps_per_epoch=3)
    assert found is not None
    assert found.reader == reader
    assert {name: array.shape for name, array in found.blank().items()} == {"features": (1,), "target": ()}
    Image.new("RGB", (9, 7), (255, 255, 255)).save(tmp_path / "a.png")
    assert found.reader is not None
    np.testing.assert_array_equal(
        found.reader(tmp_path / "a.png").example["image"], reader(tmp_path / "a.png").example["image"]
    )
