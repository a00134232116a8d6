"""Traces of training steps."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from fjdl.errors import UsageError
from fjdl.train.profiling import Profile, Steps, parse_steps

WRONG = ["10", "5:5", "6:5", "-1:3", "0:101", "a:b", "1:2:3", ":", "3:", "1.0:2", "²:3"]


@pytest.mark.parametrize("text", WRONG)
def test_a_range_that_is_none_of_the_training_is_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"^profile must be START:STOP, .* 0 <= START < STOP <= 100, got ") as error:
        parse_steps(text, steps=100)
    assert error.value.exit_status == 2


def test_the_limits_themselves_are_allowed() -> None:
    assert parse_steps("0:100", steps=100) == (0, 100)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the profiler was told."""
    told: list[str] = []
    monkeypatch.setattr("jax.profiler.start_trace", lambda folder: told.append(f"start {folder}"))
    monkeypatch.setattr("jax.profiler.stop_trace", lambda: told.append("stop"))
    return told


def run(profile: Profile, pieces: list[tuple[int, int]], events: list[str]) -> None:
    with profile:
        for first, until in pieces:
            profile.before(first, until=until)
            events.append(f"{first}-{until}")
            profile.after(until, ())


def test_steps_that_come_one_by_one_are_traced_from_the_first_to_the_last(events: list[str]) -> None:
    run(Profile(Steps(1, 3), Path("p")), [(n, n + 1) for n in range(5)], events)
    assert events == ["0-1", "start p", "1-2", "2-3", "stop", "3-4", "4-5"]


def test_epochs_that_contain_a_step_are_traced_as_wholes(events: list[str]) -> None:
    said: list[str] = []
    run(Profile(Steps(5, 9), Path("p"), say=said.append), [(0, 4), (4, 8), (8, 12), (12, 16)], events)
    assert events == ["0-4", "start p", "4-8", "8-12", "stop", "12-16"]
    assert said == ["traced in p; to look at it: pip install xprof && xprof --port 8791 p"]


@pytest.mark.parametrize("steps", [None, Steps(0, 2)], ids=["none", "done before"])
def test_nothing_is_traced_without_a_range_or_after_it(steps: Any, events: list[str]) -> None:
    said: list[str] = []
    run(Profile(steps, Path("p"), say=said.append), [(4, 8)], events)
    assert events == ["4-8"]
    assert said == ([] if steps is None else ["no step of 0:2 was trained here, nothing was traced"])


def test_an_error_ends_the_trace(events: list[str]) -> None:
    with contextlib.suppress(KeyboardInterrupt), Profile(Steps(0, 3), Path("p")) as profile:
        profile.before(0, until=1)
        raise KeyboardInterrupt
    assert events == ["start p", "stop"]
