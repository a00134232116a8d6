"""The scripts for machines, run by a real shell in a home of their own with programs that only say they were called."""

import dataclasses
import os
import subprocess
import time
from pathlib import Path

import pytest

from experiments.launch import machine
from tests.experiments.launch.jobs import JOBS

JOB = dataclasses.replace(JOBS["tpu_vm_spot"], secrets=("WANDB_API_KEY",))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an environment whose python writes down its words and waits for a file."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/activate").write_text(f'PATH="{tmp_path}/venv/bin:$PATH"\n')
    python = tmp_path / "venv/bin/python"
    python.write_text(
        f'#!/bin/sh\necho "$@" "$JAX_PLATFORMS" "$WANDB_API_KEY"\n'
        f'for i in $(seq 200); do [ -e "{tmp_path}/end" ] && exit; sleep 0.05; done\n'
    )
    python.chmod(0o755)
    (tmp_path / "fjdl").mkdir()
    (tmp_path / machine.secrets_file(JOB)).write_text("WANDB_API_KEY='a b c d e f'\n")
    return tmp_path


def shell(script: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **more}
    return subprocess.run(
        ["bash", "-c", script], env=environment, cwd=home, capture_output=True, text=True, check=False
    )


def test_a_training_is_started_once_and_outlives_the_connection(home: Path) -> None:
    first = shell(machine.run(JOB), home)
    assert (first.returncode, first.stdout) == (0, "started fjdl-mnist\n"), first.stderr
    log = home / "fjdl-logs/fjdl-mnist.log"
    until(lambda: log.is_file() and log.read_text() != "")
    second = shell(machine.run(JOB), home)
    assert (second.returncode, second.stderr) == (1, "fjdl-mnist is running already\n")
    (home / "end").touch()
    until(lambda: shell(machine.run(JOB), home).returncode == 0)
    until(lambda: len(log.read_text().splitlines()) == 2)
    words = "configs/mnist_lenet.py --run-dir runs/fjdl-mnist --precision bfloat16 tpu,cpu a b c d e f"
    assert all(line.startswith("-m experiments.") and line.endswith(words) for line in log.read_text().splitlines())


def test_the_command_that_restarts_is_taken_where_it_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["configs/mnist_lenet.py", "--run-dir", "runs/fjdl-mnist", "--precision", "bfloat16"]
    monkeypatch.setattr(machine, "RESTARTED", tmp_path / "supervise.py")
    assert machine.training(JOB) == ["python", "-m", "experiments.train", *words]
    (tmp_path / "supervise.py").touch()
    assert machine.training(JOB) == ["python", "-m", "experiments.supervise", "--", *words]


def until(condition: object) -> None:
    for _ in range(200):
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within ten seconds")


def test_the_code_is_installed_at_its_commit_and_again(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
        done = subprocess.run(["git", *names, "-C", str(source), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    source, home = tmp_path / "source", tmp_path / "home"
    (home / ".local/bin").mkdir(parents=True)
    source.mkdir()
    uv = home / ".local/bin/uv"
    uv.write_text(f'#!/bin/sh\necho "$@" >> "{home}/uv.log"\n[ "$1" = venv ] && mkdir -p "{home}/venv"; true\n')
    uv.chmod(0o755)
    git("init", "-q")
    for text in ("one", "two"):
        (source / "file").write_text(text)
        git("add", "file")
        git("commit", "-q", "-m", text)
        git("bundle", "create", "-q", str(home / "fjdl-mnist.bundle"), "HEAD")
        done = shell(machine.install(JOB, git("rev-parse", "HEAD")), home)
        assert done.returncode == 0, done.stderr
        assert (home / "fjdl/file").read_text() == text
    calls = (home / "uv.log").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["venv", "pip", "pip"]
    assert "--python 3.12" in calls[0]
    assert calls[1].endswith("fjdl[tpu]")


def test_a_disk_with_data_must_be_the_only_free_one(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "mountpoint": "exit 1",
        "lsblk": 'printf "/dev/sda\\n/dev/sda1 ext4 /\\n/dev/sdb ext4\\n"; [ -z "$TWO" ] || echo "/dev/sdc ext4"',
        "sudo": 'echo "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    mount = "set -eu\n" + "\n".join(machine._MOUNT)
    path = f"{programs}:{os.environ['PATH']}"
    one = shell(mount, tmp_path, PATH=path, TWO="")
    assert one.stdout.splitlines() == ["mkdir -p /mnt/data", "mount -o ro,noload /dev/sdb /mnt/data"], one.stderr
    two = shell(mount, tmp_path, PATH=path, TWO="yes")
    assert two.returncode == 1
    assert two.stderr.startswith("one disk must be free to be mounted, got: /dev/sdb")
