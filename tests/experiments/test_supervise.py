"""A supervisor starts a training again until it is done; here the training is a short script."""

import http.server
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import notice, supervise as supervisor
from experiments.supervise import GaveUp, Options, is_worth_a_restart, reason, run_of, shell_status, supervise
from fjdl.errors import Stopped
from fjdl.signals import stop_requests

SCRIPT = """
import os, sys, time
from pathlib import Path
run, ends = Path(sys.argv[1]), sys.argv[2:]
index = os.environ.get("JAX_PROCESS_ID", "0")
starts = run / f"starts{index}"
number = len(starts.read_text()) if starts.exists() else 0
starts.write_text("x" * (number + 1))
end = ends[min(number, len(ends) - 1)]
if end == "sleep":
    time.sleep(60)
if end.startswith("saved"):
    (run / "checkpoints" / str(number)).mkdir(parents=True)
    end = end[5:]
if end.startswith("-"):
    os.kill(os.getpid(), -int(end))
sys.exit(int(end))
"""


def supervised(run: Path, *ends: object, processes: int = 1, restarts: int = 3) -> list[str]:
    """What is said while each start ends as `ends` say, the last of them for ever."""
    said: list[str] = []
    command = [sys.executable, "-S", "-c", SCRIPT, str(run), *map(str, ends)]
    supervise(command, Options(processes=processes, restarts=restarts, wait=0.01), run=run, say=said.append)
    return said


def starts(run: Path, index: int = 0) -> int:
    return len((run / f"starts{index}").read_text())


def test_a_training_that_is_preempted_left_or_killed_is_started_again(tmp_path: Path) -> None:
    said = supervised(tmp_path, 143, 7, -9, 0)
    assert starts(tmp_path) == 4
    assert said[0] == "the training ended with status 143, it is started again in 0.01 s"
    assert said[2] == "the training ended with status -9, it is started again in 0.04 s"


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 6, 129, 130])
def test_an_end_that_a_restart_does_not_mend_is_the_end(tmp_path: Path, status: int) -> None:
    with pytest.raises(GaveUp, match=f"the training ended with status {status}, which a restart does not mend") as gave:
        supervised(tmp_path, status)
    assert gave.value.exit_status == status
    assert starts(tmp_path) == 1


def test_restarts_without_progress_are_bounded_and_progress_counts_anew(tmp_path: Path) -> None:
    with pytest.raises(GaveUp, match="the training ended 3 times in a row without progress") as gave:
        supervised(tmp_path, "saved143", "saved143", "saved143", -9, restarts=2)
    assert gave.value.exit_status == 137
    assert starts(tmp_path) == 5


def test_where_another_machine_has_the_run_a_long_attempt_is_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    command = [sys.executable, "-S", "-c", SCRIPT, str(tmp_path), "7", "7", "7", "0"]
    options, elsewhere = Options(restarts=1, wait=0.01), tmp_path / "elsewhere"
    monkeypatch.setattr(supervisor, "LASTED", 0.0)
    supervise(command, options, run=elsewhere, say=said.append)
    assert said == ["the training ended with status 7, it is started again in 0.01 s"] * 3
    monkeypatch.setattr(supervisor, "LASTED", 600.0)
    with pytest.raises(GaveUp, match="the training ended 2 times in a row without progress"):
        supervise([*command[:4], str(elsewhere.parent), "7"], options, run=elsewhere, say=said.append)


def test_all_processes_are_started_again_together(tmp_path: Path) -> None:
    supervised(tmp_path, 7, 0, processes=2)
    assert (starts(tmp_path), starts(tmp_path, 1)) == (2, 2)


def test_a_stop_of_the_supervisor_stops_the_training_and_starts_no_other(tmp_path: Path) -> None:
    def stop() -> None:
        while not (tmp_path / "starts0").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Stopped) as stopped:
        supervised(tmp_path, "sleep")
    assert stopped.value.exit_status == 143
    assert starts(tmp_path) == 1


def test_statuses_of_several_processes_name_the_reason() -> None:
    assert [reason(s) for s in ([0, 0], [7, -9], [3, 7, -9], [143, 143], [0, 7])] == [0, -9, 3, 143, 7]
    assert [is_worth_a_restart(s) for s in (7, 143, -9, -6, 130, -2, 5)] == [True] * 4 + [False] * 3
    assert [shell_status(s) for s in (7, -9)] == [7, 137]


def test_the_run_directory_is_that_of_the_training() -> None:
    assert run_of(["configs/iris_mlp.py", "--epochs", "3"]) == Path("runs/iris_mlp")
    assert run_of(["configs/iris_mlp.py", "--run-dir", "there"]) == Path("there")
    assert run_of(["--run-dir=there", "configs/iris_mlp.py"]) == Path("there")


@pytest.fixture
def metadata() -> Iterator[tuple[str, dict[str, str]]]:
    """A server of the machine's metadata, and what it says."""
    said = {"/preempted": "FALSE", "/maintenance-event": "NONE"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, waits = self.path.partition("?")
            before = said[name]
            end = time.monotonic() + 5
            while waits and said[name] == before and time.monotonic() < end:
                time.sleep(0.01)
            assert self.headers["Metadata-Flavor"] == "Google"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said[name].encode())

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", said
        said.update({"/preempted": "END", "/maintenance-event": "END"})
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "value"), [("/preempted", "TRUE"), ("/maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE")]
)
def test_a_notice_of_preemption_is_a_request_to_stop(
    metadata: tuple[str, dict[str, str]], name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice, "PAUSE", 0.01)
    address, said = metadata
    with stop_requests() as stop:
        notice.watch(address)
        time.sleep(0.3)
        assert stop.number is None
        said[name] = value
        end = time.monotonic() + 5
        while stop.number is None and time.monotonic() < end:
            time.sleep(0.01)
        assert stop.number == signal.SIGTERM
