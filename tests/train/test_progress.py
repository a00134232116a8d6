import contextlib
import io

import pytest

from fjdl.train import progress as shown
from fjdl.train.progress import Dropped, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_off_a_terminal_progress_is_a_line_every_few_seconds_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(shown.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with Progress(9, seconds=5.0, stream=stream) as progress:
        for step in range(1, 10):
            progress.update(step, f"loss {step}")
            now[0] += 2.0
    assert stream.getvalue().splitlines() == [f"step {step}/9  loss {step}" for step in (1, 4, 7, 9)]


def test_progress_without_updates_is_silent_and_shows_its_last_line_when_an_error_passes() -> None:
    stream = io.StringIO()
    Progress(3, stream=stream).close()
    assert stream.getvalue() == ""
    with contextlib.suppress(RuntimeError), Progress(3, stream=stream) as progress:
        progress.update(1)
        progress.update(2)
        raise RuntimeError
    assert stream.getvalue() == "step 1/3\nstep 2/3\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_that_goes_away_stops_nothing(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal() if terminal else io.StringIO()
    progress = Progress(3, stream=stream, seconds=0.0)
    progress.update(1)

    def gone(text: str) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(stream, "write", gone)
    for step in (2, 3):
        progress.update(step, "loss 0.25")
    progress.close()


def test_processes_beside_the_first_keep_no_line_of_their_progress() -> None:
    stream = Dropped()
    with Progress(1000, stream=stream, seconds=0.0) as progress:
        for step in range(1000):
            progress.update(step, "loss 0.25")
    assert stream.getvalue() == ""


def test_on_a_terminal_progress_is_a_bar() -> None:
    stream = Terminal()
    with Progress(10, initial=4, stream=stream) as progress:
        progress.update(10, "loss 0.25")
    assert "10/10" in stream.getvalue()
    assert "loss 0.25" in stream.getvalue()


def test_inside_an_epoch_steps_move_without_a_text_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(shown.time, "monotonic", lambda: now[0])
    stream, terminal = io.StringIO(), Terminal()
    for where in (stream, terminal):
        now[0] = 100.0
        with Progress(9, seconds=5.0, stream=where) as progress:
            for step in range(1, 4):
                progress.move(step)
                now[0] += 2.0
            progress.update(4, "loss 4")
            now[0] += 6.0
            progress.move(5)
    assert stream.getvalue().splitlines() == ["step 4/9  loss 4", "step 5/9  loss 4"]
    assert "5/9" in terminal.getvalue()


def test_a_bar_appears_with_the_first_step_so_that_lines_may_come_before() -> None:
    stream = Terminal()
    with Progress(9, stream=stream):
        assert stream.getvalue() == ""
    assert stream.getvalue() == ""
