"""The page on own data: what stands there in Python runs, on files such as it speaks of."""

import re
from pathlib import Path

import jax
import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from fjdl.data import own
from fjdl.train import fit
from fjdl.train.rundir import open_run
from tests.support import ROOT

PAGE = (ROOT / "docs" / "own_data.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
CONFIG = """
from fjdl.data import own
from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.optim import sgd
from fjdl.train import Recipe, tasks

def recipe():
    task = tasks.classification(2)
    return Recipe(
        splits=lambda: own.table("flowers.csv", label="species", impute="median"),
        model=pure(MLP(hidden=(), classes=2)), inputs=lambda batch: batch["features"], loss=task.loss,
        metrics=task.metrics, optimizer=lambda steps: sgd(0.1), epochs=1, batch_size=16,
    )
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the page speaks of, in the present folder, and a run."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{k},{'' if k == 3 else 1},{'ns'[k % 2]},{('iris', 'rose')[k % 2]}\n" for k in range(40))
    Path("flowers.csv").write_text(f"sepal length,sepal width,place,species\n{rows}")
    Path("new.csv").write_text("sepal length,sepal width,place\n3,1,n\n4,,s\n")
    prices = "".join(f"{k}\t{k % 3}\tstreet {k}\t{1000 + k}\n" for k in range(40))
    for name in ("prices.tsv", "prices_test.tsv"):
        Path(name).write_text(f"rooms\tbaths\taddress\tprice\n{prices}")
    images = []
    for k in range(40):
        path = Path("shapes") / ("circle", "square")[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20 + k, 30), k).save(path)
        images.append({"bytes": path.read_bytes(), "path": None})
    parquet.write_table(pyarrow.table({"image": images, "label": [0, 1] * 20}), "shapes.parquet")
    np.savez("digits.npz", x=np.zeros((40, 8, 8), np.uint8), y=np.arange(40) % 10)
    Path("runs").mkdir()
    space: dict = {}
    exec(CONFIG, space)
    config = {"config": "flowers.py", "sha256": "", "arguments": {}}
    with open_run("runs/flowers", command=["test"], config=config, text=CONFIG) as run:
        fit(space["recipe"](), run, devices=jax.devices()[:1])


def test_all_of_the_page_runs(files: None, capsys: pytest.CaptureFixture[str]) -> None:
    space: dict = {}
    for block in BLOCKS:
        exec(block, space)
    assert len(BLOCKS) == 7
    printed = capsys.readouterr().out
    assert "('iris', 'rose') ('sepal length', 'sepal width', 'place=n', 'place=s')" in printed
    assert "('circle', 'square') (32, 32, 3)" in printed
    assert "(8, 8, 1)" in printed
    assert re.search(r"^1 (iris|rose) 0\.\d+$", printed, flags=re.MULTILINE)
    assert space["splits"].classes == ("even", "odd")


def test_commands_and_readers_that_the_page_names_exist() -> None:
    for module in re.findall(r"-m (experiments(?:\.\w+)+)", PAGE):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists()
    for name in set(re.findall(r"own\.(\w+)\(", PAGE)):
        assert name in own.__all__
