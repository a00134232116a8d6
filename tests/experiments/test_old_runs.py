"""A run directory of version 0.1 is evaluated, drawn, quantized, reported and taken up by today's commands.

`runs/iris_mlp_0.1.tar.gz` was made by `python -m experiments.train configs/iris_mlp.py --run-dir iris_mlp --epochs 3`
on Python 3.11 with jax 0.10.2, without its lock.
"""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fjdl.train import checkpoint
from tests.experiments.support import Command

SAVED = Path(__file__).parent / "runs" / "iris_mlp_0.1.tar.gz"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with tarfile.open(SAVED) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "iris_mlp"


def result_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


def test_a_run_of_version_0_1_is_evaluated_drawn_quantized_and_reported(run: Path, command: Command) -> None:
    outcome = command("evaluate", run)
    assert outcome.status == 0, outcome.err
    accuracy = result_of(run)["test"]["accuracy"]
    assert f"accuracy   {accuracy:.4f}" in outcome.out
    for name in ("plot", "quantize", "report"):
        outcome = command(name, run)
        assert outcome.status == 0, outcome.err
    assert f"{100 * accuracy:.2f} %" in outcome.out
    assert (run / "plots" / "learning_curves.png").exists()


def test_a_finished_run_of_version_0_1_stays_finished(run: Path, command: Command) -> None:
    outcome = command("train", "configs/iris_mlp.py", "--epochs", 3, "--run-dir", run)
    assert outcome.status == 0, outcome.err
    assert "is finished, nothing to do" in outcome.out


def test_an_interrupted_run_of_version_0_1_is_taken_up(run: Path, command: Command) -> None:
    expected = result_of(run)
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints" / "21")
    outcome = command("train", "configs/iris_mlp.py", "--epochs", 3, "--run-dir", run)
    assert outcome.status == 0, outcome.err
    assert checkpoint.steps(run / "checkpoints") == [14, 21]
    assert result_of(run)["test"]["loss"] == pytest.approx(expected["test"]["loss"], rel=1e-4)
