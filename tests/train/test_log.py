import contextlib
import io
import json
import math
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fjdl.errors import StorageError
from fjdl.train import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_records_come_back_in_order_with_non_finite_floats(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    records = [{"step": 1, "loss": 0.1}, {"step": 2, "loss": math.inf, "nested": [-math.inf, {"x": None}]}]
    for record in records:
        log.append_jsonl(path, record)
    assert log.read_jsonl(path) == records
    log.append_jsonl(path, {"step": 3, "loss": np.float32("nan")})
    assert math.isnan(log.read_jsonl(path)[-1]["loss"])


def test_every_line_is_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log.append_jsonl(path, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": np.float32(0.5), "e": np.arange(2)})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = json.loads(path.read_text(), parse_constant=refuse)
    assert line == {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 0.5, "e": [0, 1]}


def test_a_line_is_on_the_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    log.append_jsonl(tmp_path / "x", {"step": 1})
    assert sizes == [len('{"step": 1}\n')]


@pytest.mark.parametrize("rest", [b'{"step": 2', b'{"step": 2}', b"\0\0\0", b"\xff"])
def test_a_last_line_cut_short_is_left_out(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + rest)
    assert log.read_jsonl(path) == [{"step": 1}]


def test_no_file_or_an_empty_one_holds_no_records(tmp_path: Path) -> None:
    assert log.read_jsonl(tmp_path / "absent") == []
    (tmp_path / "empty").touch()
    assert log.read_jsonl(tmp_path / "empty") == []


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"st\n{"step": 3}\n')
    for read in (log.read_jsonl, lambda path: log.truncate_after(path, 1)):
        with pytest.raises(StorageError, match=r"metrics\.jsonl is damaged in line 2"):
            read(path)


def test_after_a_resume_each_step_appears_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2, 3, 4):
        log.append_jsonl(path, {"step": step, "value": 1 / 3, "bad": math.nan})
    first = path.read_bytes().split(b"\n")[:2]
    with path.open("ab") as file:
        file.write(b'{"step": 5, "val')
    log.truncate_after(path, 2)
    assert path.read_bytes() == b"\n".join([*first, b""])
    log.append_jsonl(path, {"step": 3})
    assert [record["step"] for record in log.read_jsonl(path)] == [1, 2, 3]
    assert [name.name for name in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_truncating_before_the_first_step_empties_and_a_missing_file_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log.truncate_after(path, 0)
    assert not path.exists()
    log.append_jsonl(path, {"step": 1})
    log.truncate_after(path, 0)
    assert path.read_bytes() == b""


def test_a_full_disk_takes_no_earlier_line_and_leaves_no_part_of_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log.append_jsonl(path, {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"metrics\.jsonl cannot be written: only part of .* bytes fitted"):
            log.append_jsonl(path, {"step": 2, "text": "x" * 50})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b'{"step": 1}\n'


def test_an_interrupted_replacement_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    log.write_atomically(path, "old")

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"result\.json cannot be written: No space left on device"):
        log.write_atomically(path, "new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("result.json", "old")]


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "env.json").write_text("{")
    for name in ("env.json", "absent.json"):
        with pytest.raises(StorageError, match=f"{name} cannot be read"):
            log.read_json(tmp_path / name)


def test_off_a_terminal_progress_is_a_line_every_few_seconds_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with log.Progress(9, seconds=5.0, stream=stream) as progress:
        for step in range(1, 10):
            progress.update(step, f"loss {step}")
            now[0] += 2.0
    assert stream.getvalue().splitlines() == [f"step {step}/9  loss {step}" for step in (1, 4, 7, 9)]


def test_progress_without_updates_is_silent_and_shows_its_last_line_when_an_error_passes() -> None:
    stream = io.StringIO()
    log.Progress(3, stream=stream).close()
    assert stream.getvalue() == ""
    with contextlib.suppress(RuntimeError), log.Progress(3, stream=stream) as progress:
        progress.update(1)
        progress.update(2)
        raise RuntimeError
    assert stream.getvalue() == "step 1/3\nstep 2/3\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_that_goes_away_stops_nothing(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal() if terminal else io.StringIO()
    progress = log.Progress(3, stream=stream, seconds=0.0)
    progress.update(1)

    def gone(text: str) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(stream, "write", gone)
    for step in (2, 3):
        progress.update(step, "loss 0.25")
    progress.close()


def test_on_a_terminal_progress_is_a_bar() -> None:
    stream = Terminal()
    with log.Progress(10, initial=4, stream=stream) as progress:
        progress.update(10, "loss 0.25")
    assert "10/10" in stream.getvalue()
    assert "loss 0.25" in stream.getvalue()
