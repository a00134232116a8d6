import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from experiments.command import run_guarded
from fjdl.errors import Stopped
from fjdl.signals import Answer, StopRequest, grant, stop_requests
from tests.support import ROOT

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
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


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_is_told_at_once_that_a_signal_has_come(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.isatty", lambda descriptor: terminal)
    with stop_requests():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
    told = "\nfjdl: SIGTERM received, stopping as soon as nothing is lost; Ctrl-C ends it at once\n"
    assert capfd.readouterr().err == told * terminal


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
            assert [signal.getsignal(number) for number in SIGNALS] == [stop, stop, stop]
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


class Discarding:
    """Python prints what the end of such an object raises, and goes on."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        send(self.number)


def send_where_exceptions_are_discarded(number: int) -> None:
    Discarding(number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_whose_exception_python_discards_is_granted_by_the_next_block(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    reached = []

    def main() -> None:
        send_where_exceptions_are_discarded(number)
        reached.append("after the signal")
        with stop_requests():
            reached.append("in the loop")

    with pytest.raises(SystemExit) as end:
        run_guarded(main)
    assert reached == ["after the signal"]
    assert end.value.code == 128 + number
    assert capsys.readouterr().err.splitlines()[-1] == f"fjdl: stopped by {signal.Signals(number).name}"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_command_never_ends_well_after_a_discarded_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        send_where_exceptions_are_discarded(signal.SIGINT)
        print("the work is done")

    with pytest.raises(SystemExit) as end:
        run_guarded(main)
    assert end.value.code == 130
    assert capsys.readouterr().out == "the work is done\n"


def test_within_a_command_a_loop_remembers_and_all_else_stops_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stop_requests(answer=Answer.RAISE) as outer:  # noqa: PT012
        with pytest.raises(Stopped), stop_requests() as stop:  # noqa: PT012
            assert stop is outer
            send(signal.SIGTERM)
            stop.raise_if_requested()
        outer.number = None
        with stop_requests():
            pass
        send(signal.SIGTERM)


def test_a_signal_that_a_loop_did_not_grant_is_granted_at_its_end() -> None:
    with stop_requests(answer=Answer.RAISE) as outer:
        with pytest.raises(KeyboardInterrupt), stop_requests():
            send(signal.SIGHUP)
        outer.number = None
        grant()


def test_an_ignored_hang_up_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_requests() as stop:
            send(signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_the_imports_of_a_command_ends_it_with_a_sentence(number: int, tmp_path: Path) -> None:
    (tmp_path / "tyro.py").write_text(
        "import os, signal, time\n"
        "class Late:\n"
        f"    def __del__(self): os.kill(os.getpid(), {int(number)})\n"
        "Late()\n"
        "time.sleep(60)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "experiments.train", "configs/digits_mlp.py"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (128 + number, f"fjdl: stopped by {signal.Signals(number).name}\n")
