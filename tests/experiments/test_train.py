import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.train import describe
from fjdl.train.log import read_json, read_jsonl
from tests.experiments.conftest import FLAGS
from tests.experiments.support import Command, snapshot, unfinished


def test_a_run_leaves_everything_that_is_documented(trained_run: Path) -> None:
    assert {path.name for path in trained_run.iterdir()} == {
        "command.txt", "config.json", "env.json", "git.json", "metrics.jsonl", "timing.jsonl",
        "checkpoints", "plots", "result.json", "LOCK",
    }  # fmt: skip
    words = (trained_run / "command.txt").read_text().split()
    assert words == ["python", "-m", "experiments.train", *FLAGS, "--run-dir", str(trained_run)]
    recorded = read_json(trained_run / "config.json")
    assert recorded["config"] == "configs/digits_logistic.py"
    assert recorded["arguments"]["epochs"] == 2
    assert recorded["arguments"]["learning_rate"] == 0.01


def test_the_result_agrees_with_the_records(trained_run: Path) -> None:
    result, records = read_json(trained_run / "result.json"), read_jsonl(trained_run / "metrics.jsonl")
    assert [record["epoch"] for record in records] == [1, 2]
    best = max(records, key=lambda record: record["validation_accuracy"])
    assert (result["best_step"], result["state"]) == (best["step"], best["state"])
    assert result["validation"]["accuracy"] == pytest.approx(best["validation_accuracy"])
    assert result["test"]["accuracy"] > 0.8
    assert sum(map(sum, result["test"]["confusion"])) == result["test"]["count"] == 360
    assert result["seconds"] == pytest.approx(sum(r["seconds"] for r in read_jsonl(trained_run / "timing.jsonl")))


def test_a_finished_run_says_so_and_changes_no_byte(trained_run: Path, command: Command) -> None:
    before = snapshot(trained_run)
    outcome = command("train", *FLAGS, "--run-dir", trained_run)
    assert outcome.status == 0
    assert f"{trained_run} is finished, nothing to do" in outcome.out
    assert snapshot(trained_run) == before


def test_a_run_without_its_result_is_finished_from_its_last_checkpoint(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    outcome = command("train", *FLAGS, "--run-dir", run)
    assert outcome.status == 0
    assert "resumed from step 38, state" in outcome.out
    assert read_json(run / "result.json") == read_json(trained_run / "result.json")
    assert (run / "metrics.jsonl").read_bytes() == (trained_run / "metrics.jsonl").read_bytes()


def test_an_epoch_that_is_lost_is_computed_again_bit_for_bit(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "38")
    outcome = command("train", *FLAGS, "--run-dir", run)
    assert outcome.status == 0
    assert "resumed from step 19, state" in outcome.out
    assert read_json(run / "result.json")["state"] == read_json(trained_run / "result.json")["state"]
    assert (run / "metrics.jsonl").read_bytes() == (trained_run / "metrics.jsonl").read_bytes()


def test_without_run_dir_a_run_goes_below_runs_under_the_name_of_the_config(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "small.py"
    shutil.copy("configs/iris_mlp.py", config)
    monkeypatch.chdir(tmp_path)
    assert command("train", "small.py", "--epochs", "1").status == 0
    assert (tmp_path / "runs" / "small" / "result.json").is_file()


def test_the_description_gives_the_interval_where_there_is_one() -> None:
    result = {"best_epoch": 2, "epochs": 3, "seconds": 1.25, "state": "ab" * 32, "test": {"loss": 0.5}}
    assert describe(result) == "best epoch 2 of 3, 1.2 s, state abababababababab\ntest: loss 0.5000"
    result["test"] = {"accuracy": 0.9, "accuracy_interval": [0.8, 0.95], "count": 40}
    assert describe(result).endswith("accuracy 0.9000  95 % interval 0.8000 to 0.9500 (n = 40)")


def test_help_answers_within_two_seconds() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "experiments.train", "--help"], capture_output=True, check=False)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0
        assert b"--dry-run" in done.stdout
    assert min(seconds) < 2


def test_help_imports_no_jax() -> None:
    program = (
        "import runpy, sys; sys.argv = ['train.py', '--help']\n"
        "try: runpy.run_module('experiments.train', run_name='__main__')\n"
        "except SystemExit as end: print('status', end.code, sorted({'jax', 'flax', 'orbax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "status 0 []"


def test_help_of_a_config_lists_its_hyper_parameters(command: Command) -> None:
    outcome = command("train", "configs/digits_lenet.py", "--help")
    assert outcome.status == 0
    for word in ("--learning-rate FLOAT", "(default: 0.003)", "--precision {float32,bfloat16}", "--dry-run"):
        assert word in outcome.out
