import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from fjdl.errors import StorageError, UsageError
from fjdl.train import rundir
from fjdl.train.documents import read_sealed
from tests.support import ROOT

COMMAND = ["python", "-m", "experiments.train", "configs/a b.py"]
CONFIG = {"sha256": "ab12", "learning_rate": 0.1, "sizes": (3, 4), "optimizer": {"name": "adam", "decay": float("inf")}}
RESULT = {
    **dict.fromkeys(("data", "precision", "hardware", "command", "commit", "state"), "words"),
    **dict.fromkeys(("seed", "parameters", "best_step", "best_epoch", "epochs", "seconds"), 3),
    "headline": "accuracy",
    "test": {"accuracy": 0.98, "loss": float("inf")},
    "examples": {},
    "validation": {},
}


def start(path: Path, **changes: Any) -> rundir.RunDirectory:
    with rundir.open_run(path, command=COMMAND, config={**CONFIG, **changes}) as run:
        return run


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file() and file.name != "LOCK"}


def test_a_new_run_has_the_documented_layout(tmp_path: Path) -> None:
    run = start(tmp_path / "new" / "run")
    assert {entry.name for entry in run.path.iterdir()} == {
        "command.txt", "config.json", "env.json", "git.json", "checkpoints", "plots", "LOCK",
    }  # fmt: skip
    assert (
        (run.path / "command.txt").read_text().startswith("python -m experiments.train 'configs/a b.py'\n# sha256 of")
    )
    assert read_sealed(run.path / "config.json", {}) == {**CONFIG, "sizes": [3, 4]}
    assert run.warnings == ()
    assert (run.checkpoints.is_dir(), run.plots.is_dir()) == (True, True)
    assert (run.metrics.name, run.timing.name, run.result.name) == ("metrics.jsonl", "timing.jsonl", "result.json")


def test_the_environment_names_versions_and_devices_but_no_host_and_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere/ada")
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/somewhere/ada/dump")
    environment = rundir.environment()
    assert environment["jax"] == jax.__version__
    assert environment["orbax-checkpoint"]
    assert environment["XLA_FLAGS"] == "--xla_dump_to=~/dump"
    assert (environment["backend"], environment["device_count"]) == (jax.default_backend(), jax.device_count())
    assert environment["jax_enable_x64"] is False
    assert socket.gethostname() not in json.dumps(environment)


def test_a_missing_package_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "_PACKAGES", ("no-such-package",))
    assert rundir.environment()["no-such-package"] is None


def test_starting_again_changes_no_file(tmp_path: Path) -> None:
    start(tmp_path)
    before = contents(tmp_path)
    assert start(tmp_path).warnings == ()
    assert contents(tmp_path) == before


def test_another_configuration_is_refused_field_by_field(tmp_path: Path) -> None:
    start(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(UsageError) as caught:
        start(tmp_path, learning_rate=0.2, optimizer={"name": "sgd", "momentum": 0.9})
    assert str(caught.value) == (
        f"{tmp_path} belongs to another configuration (learning_rate: run has 0.1, asked for 0.2; "
        'optimizer.name: run has "adam", asked for "sgd"; optimizer.decay: run has "Infinity", asked for nothing; '
        "optimizer.momentum: run has nothing, asked for 0.9), choose another --run-dir"
    )
    assert contents(tmp_path) == before


def test_an_equal_configuration_with_nan_is_accepted(tmp_path: Path) -> None:
    start(tmp_path, scale=float("nan"), shape=())
    assert start(tmp_path, scale=float("nan"), shape=[]).warnings == ()


@pytest.mark.parametrize(("old", "new"), [(1, True), (1, 1.0), (None, "null"), ({}, None)])
def test_values_of_different_types_differ(tmp_path: Path, old: Any, new: Any) -> None:
    start(tmp_path, value=old)
    with pytest.raises(UsageError, match="value: run has"):
        start(tmp_path, value=new)


def test_another_environment_or_code_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(tmp_path)
    environment, code = rundir.environment(), rundir.code_version()
    monkeypatch.setattr(rundir, "environment", lambda: {**environment, "jax": "9.9"})
    monkeypatch.setattr(rundir, "code_version", lambda: {**code, "commit": "c0ffee"})
    jax_changed, commit_changed = start(tmp_path).warnings
    promise = "; bitwise equality is no longer promised"
    assert jax_changed == f'env jax: run has "{jax.__version__}", now "9.9"{promise}'
    assert commit_changed.startswith("git commit: run has ")
    assert commit_changed.endswith(f'now "c0ffee"{promise}')


def test_git_gives_commit_dirty_flag_and_diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert rundir.code_version() == {"commit": None, "dirty": None, "diff": None}
    (tmp_path / "a.py").write_text("old\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], check=True)
    clean = rundir.code_version()
    assert (len(clean["commit"]), clean["dirty"], clean["diff"]) == (40, False, "")
    (tmp_path / "untracked").touch()
    assert rundir.code_version() == clean
    (tmp_path / "a.py").write_text("new\n")
    dirty = rundir.code_version()
    assert (dirty["commit"], dirty["dirty"]) == (clean["commit"], True)
    assert "-old\n+new\n" in dirty["diff"]


def test_without_git_the_code_version_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert rundir.code_version() == {"commit": None, "dirty": None, "diff": None}


def test_a_second_run_is_refused_at_once_and_names_the_first(tmp_path: Path) -> None:
    with rundir.open_run(tmp_path, command=COMMAND, config=CONFIG):
        before = contents(tmp_path)
        holder = f"host {socket.gethostname()}, process {os.getpid()}, started 20"
        with pytest.raises(StorageError, match=f"{tmp_path} is in use by another run .{holder}"):
            start(tmp_path)
        assert contents(tmp_path) == before
        assert holder in (tmp_path / "LOCK").read_text()
    start(tmp_path)


def test_the_lock_falls_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), rundir.open_run(tmp_path, command=COMMAND, config=CONFIG):
        raise ZeroDivisionError
    start(tmp_path)


def test_an_error_of_the_block_is_not_taken_for_one_of_the_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), rundir.open_run(tmp_path, command=COMMAND, config=CONFIG):
        (tmp_path / "absent").read_bytes()


def test_the_lock_of_a_killed_run_does_not_block(tmp_path: Path) -> None:
    code = (
        "import fcntl, sys, time; file = open(sys.argv[1], 'a+'); fcntl.flock(file, fcntl.LOCK_EX);"
        "file.write('host x, process 1'); file.flush(); print(flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "LOCK")], stdout=subprocess.PIPE)
    with first:
        assert first.stdout is not None
        first.stdout.readline()
        with pytest.raises(StorageError, match=r"in use by another run .host x, process 1"):
            start(tmp_path)
        first.send_signal(signal.SIGKILL)
    start(tmp_path)
    assert f"process {os.getpid()}" in (tmp_path / "LOCK").read_text()


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(StorageError, match=f"run directory {path} cannot be written"):
            start(path)


@pytest.mark.by_day_on_pin(1)
def test_a_directory_that_takes_no_files_is_refused_before_anything_slow(tmp_path: Path) -> None:
    code = (
        "import os, sys, resource; from fjdl.errors import StorageError; from fjdl.train import rundir\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "rundir.environment = None\n"
        "try:\n"
        "    with rundir.open_run(sys.argv[1], command=[], config={}): pass\n"
        "except StorageError as error: print(error)\n"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if os.stat(folder).st_uid == os.getuid() and folder.is_relative_to(tmp_path.parents[1]):
            folder.chmod(0o755)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "plots").mkdir()
    (tmp_path / "LOCK").touch()
    (tmp_path / "LOCK").chmod(0o666)
    tmp_path.chmod(0o555)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    tmp_path.chmod(0o755)
    assert done.stdout.startswith(f"run directory {tmp_path} cannot be written: Permission denied"), done.stderr


def test_checkpoints_without_a_configuration_are_not_adopted(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "10").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"holds checkpoints but no config\.json"):
        start(tmp_path)


def test_a_start_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    start(tmp_path)
    before = contents(tmp_path)
    for name in ("config.json", "env.json"):
        (tmp_path / name).unlink()
    assert start(tmp_path).warnings == ()
    assert contents(tmp_path) == before


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    start(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(StorageError, match=r"config\.json cannot be read"):
        start(tmp_path)


def test_a_run_is_finished_when_it_has_a_result(tmp_path: Path) -> None:
    with rundir.open_run(tmp_path, command=COMMAND, config=CONFIG) as run:
        assert rundir.finished(run) is None
        rundir.write_result(run, RESULT)
    assert rundir.finished(start(tmp_path)) == RESULT


def test_records_of_the_surroundings_that_are_gone_are_told_of(tmp_path: Path) -> None:
    start(tmp_path)
    for name in ("command.txt", "git.json"):
        (tmp_path / name).unlink()
    told = "was gone, and is written anew as it would be for a run that begins now"
    assert start(tmp_path).warnings == (f"command.txt {told}", f"git.json {told}")
    assert start(tmp_path).warnings == ()
