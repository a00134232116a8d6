"""Trainings on disks that are full or take no files, each in mounts of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.conftest import FLAGS


def in_own_mounts(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell script that may mount; skips where the system lets nobody but its root do that."""
    unshare = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("no namespace of mounts of one's own on this system")
    words = [*unshare, "sh", "-ec", script, "sh", *map(str, arguments)]
    return subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, timeout=100)


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    for name in ("disk", "cache"):
        (tmp_path / name).mkdir()
    script = 'mount -t tmpfs -o size=64k tmpfs "$1"; mount -t tmpfs -o size=4k tmpfs "$2"; shift 2; exec "$@"'
    command = [sys.executable, "-m", "experiments.train", "configs/iris_mlp.py", "--run-dir", tmp_path / "disk" / "run"]
    folders, cache = (tmp_path / "disk", tmp_path / "cache"), str(tmp_path / "cache")
    done = in_own_mounts(
        script, *folders, *command, GIT_DIR=cache, JAX_COMPILATION_CACHE_DIR=cache, JAX_NUM_CPU_DEVICES="1"
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("fjdl: checkpoint 7 cannot be saved in ")
    assert "No space left on device" in line
    assert done.returncode == 6


@pytest.mark.by_day_on_pin(1)
def test_a_finished_run_on_a_read_only_mount_says_so(trained_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    script = 'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; shift; exec "$@"'
    command = [sys.executable, "-m", "experiments.train", *FLAGS, "--run-dir", run]
    done = in_own_mounts(script, run, *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{run} is finished, nothing to do" in done.stdout
