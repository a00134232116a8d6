"""Runs that are damaged, taken or of another configuration are refused in one sentence, and stay as they are."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.conftest import FLAGS
from tests.experiments.support import CHECKPOINT, STORAGE, USAGE, Command, flip_a_byte, sentence, snapshot, unfinished


def test_a_run_of_other_arguments_is_refused_and_unchanged(trained_run: Path, command: Command) -> None:
    before = snapshot(trained_run)
    outcome = command("train", *FLAGS, "--batch-size", "32", "--run-dir", trained_run)
    assert outcome.status == USAGE
    assert "arguments.batch_size: run has 64, asked for 32" in sentence(outcome)
    assert snapshot(trained_run) == before


def test_a_run_of_another_config_is_refused_and_unchanged(trained_run: Path, command: Command) -> None:
    before = snapshot(trained_run)
    outcome = command("train", "configs/digits_mlp.py", "--run-dir", trained_run)
    assert outcome.status == USAGE
    assert 'config: run has "configs/digits_logistic.py", asked for "configs/digits_mlp.py"' in sentence(outcome)
    assert snapshot(trained_run) == before


def test_a_run_that_another_process_holds_is_refused_and_unchanged(trained_run: Path, command: Command) -> None:
    before = snapshot(trained_run)
    program = "import fcntl, sys; lock = open(sys.argv[1], 'a+'); fcntl.flock(lock, fcntl.LOCK_EX)"
    program += "; print('held', flush=True); input()"
    holder = [sys.executable, "-c", program, str(trained_run / "LOCK")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        outcome = command("train", *FLAGS, "--run-dir", trained_run)
        other.communicate(b"\n")
    assert outcome.status == STORAGE
    assert f"{trained_run} is in use by another run" in sentence(outcome)
    assert snapshot(trained_run) == before


@pytest.mark.parametrize("name", ["evaluate", "plot", "quantize"])
def test_a_run_without_checkpoints_is_refused(name: str, trained_run: Path, tmp_path: Path, command: Command) -> None:
    shutil.copy(trained_run / "config.json", tmp_path)
    outcome = command(name, tmp_path)
    assert outcome.status == CHECKPOINT
    assert "holds no checkpoint yet, train it first" in sentence(outcome)
    assert list(snapshot(tmp_path)) == ["config.json"]


def test_damaged_checkpoints_are_never_read_and_never_deleted(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    for step in (run / "checkpoints").iterdir():
        flip_a_byte(step)
    before = snapshot(run)
    for name, flags in [("evaluate", (run,)), ("evaluate", (run,)), ("train", (*FLAGS, "--run-dir", run))]:
        outcome = command(name, *flags)
        assert outcome.status == CHECKPOINT
        assert f"no checkpoint in {run / 'checkpoints'} can be trusted" in sentence(outcome)
    assert set(before.values()) <= set(snapshot(run).values())


@pytest.mark.parametrize("name", ["evaluate", "plot", "quantize"])
def test_a_finished_run_is_read_at_its_recorded_step_or_not_at_all(
    name: str, trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    best = run / "checkpoints" / str(json.loads((run / "result.json").read_text())["best_step"])
    flip_a_byte(best)
    before = snapshot(run)
    for _ in range(2):
        outcome = command(name, run)
        assert outcome.status == CHECKPOINT
        assert f"{best}/" in sentence(outcome)
        assert snapshot(run) == before


@pytest.mark.by_day_on_pin(1)
def test_a_damaged_newest_checkpoint_of_an_unfinished_run_is_set_aside_by_training_alone(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    older, newer = sorted((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    flip_a_byte(newer)
    before = snapshot(run)
    outcome = command("evaluate", run)
    assert (outcome.status, snapshot(run)) == (0, before)
    assert f"step {older.name}\n" in outcome.out
    assert command("train", *FLAGS, "--run-dir", run).status == 0
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        older.name, newer.name, f"{newer.name}.corrupt", f"{newer.name}.corrupt.txt",
    }  # fmt: skip


@pytest.mark.by_day_on_pin(0)
def test_a_checkpoint_of_another_model_is_refused_with_a_table(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    other = "configs/breast_cancer_logistic.py"
    assert command("train", other, "--epochs", "1", "--run-dir", tmp_path / "other").status == 0
    for name in ("config.json", "config.py"):
        shutil.copy(tmp_path / "other" / name, run / name)
    before = snapshot(run)
    outcome = command("evaluate", run)
    assert outcome.status == CHECKPOINT
    first, header, *rows = outcome.err.splitlines()
    assert first.endswith("does not fit:")
    assert header.split() == ["path", "|", "saved", "|", "wanted"]
    assert any("float32 (64, 10)" in row and "float32 (30, 2)" in row for row in rows)
    assert snapshot(run) == before


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ("{", STORAGE, "cannot be read"),
        ("[]", USAGE, "was not written by experiments.train"),
        ('{"config": "configs/digits_mlp.py"}', USAGE, "was not written by experiments.train"),
        ('{"config": "configs/gone.py", "sha256": "", "arguments": {}}', USAGE, "configs/gone.py does not exist"),
    ],
)
def test_a_damaged_config_json_is_refused(
    content: str, status: int, words: str, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "config.json").write_text(content)
    outcome = command("evaluate", tmp_path)
    assert outcome.status == status
    assert words in sentence(outcome)


def test_metrics_damaged_in_the_middle_stop_a_run_before_it_writes(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(b"{#" + b"".join(lines))
    before = snapshot(run)
    for name, flags in [("train", (*FLAGS, "--run-dir", run)), ("plot", (run,))]:
        outcome = command(name, *flags)
        assert outcome.status == STORAGE
        assert f"{run / 'metrics.jsonl'} is damaged in line 1" in sentence(outcome)
    assert snapshot(run) == before


MISSHAPEN = {
    "git.json": b"[]",
    "env.json": b"17",
    "command.txt": b"\xff",
    "config.json": b'{"config": 17, "sha256": "", "arguments": {}}',
    "metrics.jsonl": b"17\n",
    "timing.jsonl": b"{}\n",
    "result.json": b"17",
}


@pytest.mark.parametrize("name", MISSHAPEN)
def test_a_file_of_the_wrong_shape_stops_a_training_before_it_begins(
    name: str, trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    (run / name).write_bytes(MISSHAPEN[name])
    before = snapshot(run)
    outcome = command("train", *FLAGS, "--run-dir", run)
    assert outcome.status == STORAGE
    assert str(run / name) in sentence(outcome)
    assert "resumed" not in outcome.out
    assert snapshot(run) == before


@pytest.mark.parametrize("name", ["result.json", "config.json", "quantized.json"])
def test_a_file_of_the_wrong_shape_is_not_reported(
    name: str, trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    (run / name).write_bytes(b"17")
    outcome = command("report", run)
    assert outcome.status == STORAGE
    assert str(run / name) in sentence(outcome)


def test_a_run_whose_checkpoints_are_gone_does_not_start_afresh(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    for step in (run / "checkpoints").iterdir():
        shutil.rmtree(step)
    before = snapshot(run)
    outcome = command("train", *FLAGS, "--run-dir", run)
    assert outcome.status == STORAGE
    assert "holds no checkpoint any more" in sentence(outcome)
    assert snapshot(run) == before
