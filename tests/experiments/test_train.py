import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.command import describe as describe_code
from experiments.fingerprint import earlier_fingerprints
from experiments.train import describe
from fjdl.train.documents import CONFIG, read_sealed
from fjdl.train.json_files import encode_json, read_json, read_jsonl
from tests.experiments.conftest import FLAGS
from tests.experiments.support import Command, sentence, snapshot, unfinished


def test_a_run_leaves_everything_that_is_documented(trained_run: Path) -> None:
    assert {path.name for path in trained_run.iterdir()} == {
        "command.txt", "config.json", "config.py", "data.json", "env.json", "git.json", "metrics.jsonl", "timing.jsonl",
        "checkpoints", "plots", "result.json", "LOCK",
    }  # fmt: skip
    words = (trained_run / "command.txt").read_text().partition("#")[0].split()
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


def send(number: int, *, discarded: bool = False) -> None:
    """The signal, perhaps where Python discards what its handler raises."""

    class Late:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    if discarded:
        Late()
    else:
        os.kill(os.getpid(), number)


def first_send(monkeypatch: pytest.MonkeyPatch, target: str, number: int, **options: bool) -> None:
    """The function of that name first sends the signal."""
    module, _, name = target.rpartition(".")
    function = getattr(importlib.import_module(module), name)

    def sending(*args: Any, **kwargs: Any) -> Any:
        send(number, **options)
        return function(*args, **kwargs)

    monkeypatch.setattr(target, sending)


def test_a_signal_at_start_up_leaves_no_run(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    first_send(monkeypatch, "fjdl.train.prepare.check", signal.SIGTERM)
    outcome = command("train", *FLAGS, "--run-dir", tmp_path / "run")
    assert (outcome.status, sentence(outcome)) == (143, "stopped by SIGTERM")
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("discarded", [False, True])
def test_a_signal_before_the_first_epoch_says_that_nothing_is_saved(
    discarded: bool, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_send(monkeypatch, "fjdl.train.beginning.restore_latest", signal.SIGHUP, discarded=discarded)
    outcome = command("train", *FLAGS, "--run-dir", tmp_path / "run")
    assert outcome.status == 129
    then = "no checkpoint had been saved yet, the same command starts anew"
    assert outcome.err.splitlines()[-1] == f"fjdl: stopped by SIGHUP; {then}"
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_signal_while_a_run_is_taken_up_says_that_its_checkpoint_is_intact(
    trained_run: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    before = snapshot(run)
    first_send(monkeypatch, "fjdl.train.beginning.restore_latest", signal.SIGINT)
    outcome = command("train", *FLAGS, "--run-dir", run)
    then = "the last checkpoint is intact, the same command resumes"
    assert (outcome.status, sentence(outcome)) == (130, f"stopped by SIGINT; {then}")
    assert snapshot(run) == before


def test_a_signal_while_the_first_epoch_compiles_is_granted_inside_of_it_with_its_state_saved(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_send(monkeypatch, "fjdl.train.program.batch_of", signal.SIGTERM)  # as it is traced, and in the check
    monkeypatch.setattr("fjdl.train.prepare.check", lambda prepared: None)
    outcome = command("train", *FLAGS, "--run-dir", tmp_path / "run")
    assert (outcome.status, sentence(outcome)) == (143, "stopped by SIGTERM; the same command resumes")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert [path.name for path in (tmp_path / "run" / "paused").iterdir()] == ["1"]


@pytest.mark.by_day_on_pin(1)
def test_a_run_of_an_older_version_is_taken_up_and_left_as_it_is(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    path = Path("configs/digits_logistic.py")
    config = read_sealed(run / "config.json", CONFIG)
    (run / "config.json").write_text(encode_json({**config, "sha256": min(earlier_fingerprints(path.read_bytes()))}))
    before = (run / "config.json").read_bytes()
    outcome = command("train", *FLAGS, "--run-dir", run)
    assert outcome.status == 0
    assert "resumed from step 38" in outcome.out
    assert "warning" not in command("evaluate", run).err
    assert (run / "config.json").read_bytes() == before
    result = encode_json({name: value for name, value in read_json(run / "result.json").items() if name != "checksum"})
    (run / "result.json").write_text(result)
    assert "is finished, nothing to do" in command("train", *FLAGS, "--run-dir", run).out


EDITS = {
    "import": ("from fjdl.optim import adam", "import math\nfrom fjdl.optim import adam"),
    "docstring": ("Softmax regression on the digits.", "Softmax regression."),
    "comment": ("def recipe(", "# a comment\ndef recipe("),
    "code": ("maximum=16", "maximum=15"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_config_orphans_no_run_and_stops_only_a_training_whose_code_differs(
    edit: str, trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run, config = unfinished(trained_run, tmp_path / "run"), tmp_path / "edited.py"
    text = Path("configs/digits_logistic.py").read_text()
    name = describe_config(config, text)
    recorded = {**read_sealed(run / "config.json", CONFIG), "config": name}
    (run / "config.json").write_text(encode_json(recorded))
    config.write_text(text.replace(*EDITS[edit]))
    assert config.read_text() != text
    same = edit in ("docstring", "comment")
    outcome = command("evaluate", run)
    assert (outcome.status, outcome.err) == (0, "")
    (run / "config.py").unlink()  # a run of an older version keeps no config
    warned = f"warning: {name} has changed since {run} was made, its commit is in git.json there\n"
    assert command("evaluate", run).err == ("" if same else warned)
    outcome = command("train", config, *FLAGS[1:], "--run-dir", run)
    assert outcome.status == (0 if same else 2)
    assert same or "belongs to another configuration (sha256: run has" in sentence(outcome)


def describe_config(path: Path, text: str) -> str:
    """Writes the config and returns the name under which runs record it."""
    path.write_text(text)
    return describe_code(path, {})["config"]


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        (
            'batch["features"]',
            'batch["feature"]',
            "inputs must use the keys of a batch, 'features', 'label'",
        ),
        ("adamw(cosine(peak=learning_rate, steps=steps),", "adamw(lr=1e-3,", "adamw: there is no argument `lr`"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--dry-run",)], ids=["train", "dry_run"])
def test_a_wrong_key_or_argument_in_a_config_is_one_sentence_before_a_run_is_made(
    right: str, wrong: str, rule: str, flags: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    config, text = tmp_path / "wrong.py", Path("configs/iris_logistic.py").read_text()
    assert right in text
    config.write_text(text.replace(right, wrong))
    outcome = command("train", config, "--run-dir", tmp_path / "run", *flags)
    assert (outcome.status, outcome.out.replace(f"training {config} ...\n", "")) == (2, "")
    assert rule in sentence(outcome)
    assert not (tmp_path / "run").exists()


@pytest.mark.by_day_on_pin(0)
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
    assert describe(result).endswith("accuracy 0.9000  accuracy's 95 % interval 0.8000 to 0.9500 (n = 40)")


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
    words = "--learning-rate FLOAT", "(default: 0.003)", "{float32,tensorfloat32,bfloat16,float16}", "--dry-run"
    assert [word for word in words if word not in outcome.out] == []
