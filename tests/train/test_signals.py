import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fjdl.errors import Stopped
from fjdl.train.log import read_json
from fjdl.train.signals import StopRequest, stop_requests
from tests.support import ROOT

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_remembered_until_it_is_asked_for(number: signal.Signals, status: int) -> None:
    with stop_requests() as stop:
        stop.raise_if_requested()
        assert not stop.requested
        send(number)
        assert stop.requested
        with pytest.raises(Stopped) as stopped:
            stop.raise_if_requested()
    assert stopped.value.exit_status == status
    assert str(stopped.value) == f"stopped by {number.name}; the same command resumes"


def test_the_first_signal_counts() -> None:
    with stop_requests() as stop:
        send(signal.SIGINT)
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        with pytest.raises(Stopped) as stopped:
            stop.raise_if_requested()
    assert stopped.value.exit_status == 130


@pytest.mark.parametrize("first", SIGNALS)
def test_an_interrupt_after_another_signal_ends_at_once(first: int) -> None:
    with pytest.raises(KeyboardInterrupt), stop_requests():  # noqa: PT012
        send(first)
        send(signal.SIGINT)


@pytest.mark.parametrize("fails", [False, True])
def test_the_handlers_come_back_however_the_block_ends(fails: bool) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        with stop_requests() as stop:
            assert [signal.getsignal(number) for number in SIGNALS] == [stop, stop]
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_outside_the_main_thread_there_is_nothing_to_ask_for() -> None:
    before, found = [signal.getsignal(number) for number in SIGNALS], []

    def block() -> None:
        with stop_requests() as stop:
            found.extend([stop.requested, *(signal.getsignal(number) for number in SIGNALS)])

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert found == [False, *before]


def test_a_request_is_a_handler() -> None:
    request = StopRequest()
    request(signal.SIGTERM, None)
    with pytest.raises(Stopped):
        request.raise_if_requested()


def start(run: Path, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "experiments.train", "configs/digits_logistic.py", "--epochs", "15"]
    return subprocess.Popen(
        [*command, "--run-dir", str(run)],
        cwd=ROOT,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "1", "JAX_COMPILATION_CACHE_DIR": str(cache)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_terminated_training_says_143_and_the_same_command_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = start(tmp_path / "whole", tmp_path / "cache")
    assert whole.communicate()[1] is not None
    assert whole.returncode == 0

    run = tmp_path / "stopped"
    process = start(run, tmp_path / "cache")
    while process.poll() is None and not ((run / "checkpoints").is_dir() and any((run / "checkpoints").glob("[0-9]*"))):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    errors = process.communicate()[1]
    assert process.returncode == 143, errors
    assert "fjdl: stopped by SIGTERM; the same command resumes" in errors
    assert not (run / "result.json").exists()
    done = len((run / "metrics.jsonl").read_text().splitlines())
    assert 1 <= done < 15

    again = start(run, tmp_path / "cache")
    out, errors = again.communicate()
    assert again.returncode == 0, errors
    assert f"resumed from step {19 * done}, state " in out
    assert read_json(run / "result.json")["state"] == read_json(tmp_path / "whole" / "result.json")["state"]
    assert (run / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
