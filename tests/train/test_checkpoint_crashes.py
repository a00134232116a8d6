"""A process that is killed, or whose disk is full, while it saves."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorstore

from fjdl.train import array_files, checkpoint
from tests.support import ROOT
from tests.train.trees import small

DRIVER = """
import os, resource, sys
from pathlib import Path
import jax, numpy as np
import orbax.checkpoint
from fjdl.errors import StorageError
from fjdl.optim import momentum, partition, sgd
from fjdl.train import checkpoint
from fjdl.tree import digest

root, *points = sys.argv[1:]
rng = np.random.default_rng(0)
tree = {"w": rng.normal(size=(300, 300)), "b": np.zeros(3)}

def child(action):
    if (pid := os.fork()) == 0:
        try:
            action()
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def crash(point):
    folder = Path(root, point)
    checkpoint.save(folder, 1, tree)
    os.environ["FJDL_CRASH_AT"] = point
    checkpoint.save(folder, 2, tree, keep=1)

def fill(name):
    folder = Path(root, name)
    checkpoint.save(folder, 1, {"b": np.zeros(3)})
    with open(folder / "stderr", "wb") as file:
        os.dup2(file.fileno(), 2)
    os.environ["FJDL_TRACEBACK"] = "1" if name == "shown" else ""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
    try:
        checkpoint.save(folder, 2, tree)
    except StorageError as error:
        (folder / "message").write_text(str(error))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    checkpoint.save(folder, 3, tree)

print(*[child(lambda: crash(point)) for point in points], *[child(lambda: fill(name)) for name in ("full", "shown")])
"""


POINTS = ["before-write", "after-data", "after-manifest", "before-rename", "after-rename", "during-deletion"]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Folders that processes killed at each point left, and their exit statuses; one interpreter forks them all."""
    root = tmp_path_factory.mktemp("crashed")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(root), *POINTS], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return root, dict(zip([*POINTS, "full", "shown"], map(int, done.stdout.split()), strict=True))


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_of_a_save_leaves_a_verified_step(crashed: tuple[Path, dict[str, int]], point: str) -> None:
    root, statuses = crashed
    assert statuses[point] == -signal.SIGKILL
    saved = point in ("after-rename", "during-deletion")
    assert checkpoint.latest_verified(root / point) == (2 if saved else 1)
    checkpoint.clean_partial(root / point)
    assert not [path for path in (root / point).iterdir() if not path.name.isdecimal()]
    checkpoint.save(root / point, 3, small())
    assert checkpoint.latest_verified(root / point) == 3


def test_a_disk_that_fills_up_costs_only_the_save_under_way(crashed: tuple[Path, dict[str, int]]) -> None:
    root, statuses = crashed
    assert statuses["full"] == 0
    message = (root / "full" / "message").read_text()
    assert message.startswith(f"checkpoint 2 cannot be saved in {root / 'full'}: ")
    assert "File too large" in message
    assert "\n" not in message
    assert checkpoint.steps(root / "full") == [1, 3]
    assert checkpoint.latest_verified(root / "full") == 3


def test_what_the_writers_threads_print_is_shown_on_demand_alone(crashed: tuple[Path, dict[str, int]]) -> None:
    root, _ = crashed
    assert (root / "full" / "stderr").read_text() == ""
    assert "Traceback" in (root / "shown" / "stderr").read_text()
    assert checkpoint.latest_verified(root / "shown") == 3


def test_writes_that_end_after_their_save_has_failed_are_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[object] = []
    late, ended = tensorstore.Promise.new()

    async def failing() -> None:
        loop = asyncio.get_running_loop()
        ended.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        raise OSError(28, "No space left on device")

    orbax = SimpleNamespace(save=lambda path, tree: asyncio.run(failing()))
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reports.append(report.exc_value))
    monkeypatch.setattr(array_files, "_orbax", lambda: contextlib.nullcontext(orbax))
    with pytest.raises(OSError, match="No space left"):
        array_files.save_arrays(tmp_path / "arrays", [])
    late.set_result(None)
    assert reports == []
    sys.unraisablehook(SimpleNamespace(exc_value=ValueError("another")))
    assert [str(report) for report in reports] == ["another"]


def test_a_save_that_succeeds_leaves_the_reports_as_they_were(tmp_path: Path) -> None:
    before = sys.unraisablehook
    array_files.save_arrays(tmp_path / "arrays", [np.arange(3)])
    assert sys.unraisablehook is before
