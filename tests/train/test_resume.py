"""What a run directory holds is read as it was recorded, or refused, and reading changes nothing."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fjdl.errors import CheckpointError, FjdlError, StorageError
from fjdl.train import checkpoint
from fjdl.train.documents import RESULT
from fjdl.train.json_files import append_jsonl, encode_json, read_json
from fjdl.train.program import Tally
from fjdl.train.resume import Paused, discard_paused, read_best, restore_latest, save_paused
from fjdl.train.rundir import RunDirectory, write_result
from fjdl.train.state import Best, TrainState
from fjdl.tree import digest
from tests.experiments.support import flip_a_byte, snapshot

EPOCH, EPOCHS = 4, 5  # steps of an epoch, epochs
PATHS = Path("checkpoints"), Path("metrics.jsonl"), Path("timing.jsonl")


def state(step: int, *, best: int = 8) -> TrainState:
    number = np.asarray(step, np.int32)
    none: Any = ()
    parameters, place = {"kernel": np.full(3, step, np.float32)}, np.asarray(best, np.int32)
    return TrainState(number, parameters, none, none, none, number, number, Best(number, place, number))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five epochs, the second of which is the best, that ended before its result."""
    run = RunDirectory(path=tmp_path_factory.mktemp("template"))
    for epoch in range(1, EPOCHS + 1):
        saved, where = state(epoch * EPOCH), {"step": epoch * EPOCH, "epoch": epoch}
        append_jsonl(run.metrics, {**where, "validation_loss": 1.0, "state": digest(saved)})
        append_jsonl(run.timing, {**where, "seconds": 0.5})
        checkpoint.save(run.checkpoints, epoch * EPOCH, saved, protect=[8])
    return run.path


@pytest.fixture
def run(template: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(path=Path(shutil.copytree(template, tmp_path / "run")))


def finish(run: RunDirectory, **changes: Any) -> None:
    example = {str: "words", int: 1, dict: {"accuracy": 0.5}}
    result = {name: example.get(kind, 1) for name, kind in RESULT.items()} | {"headline": "accuracy", "commit": None}  # type: ignore[call-overload]
    write_result(run, {**result, "best_step": 8, "state": digest(state(8)), **changes})


def resume(run: RunDirectory) -> TrainState:
    return restore_latest(run, Paused(state(0), tally()), EPOCH).state


def tally(steps: float = 0.0) -> Tally:
    return Tally(*np.full(len(Tally._fields), steps, np.float32))


def paused(run: RunDirectory, step: int) -> Paused:
    found = Paused(state(step), tally(3.0))
    save_paused(run, found, step)
    return found


def test_a_run_goes_on_inside_of_the_epoch_in_which_it_stopped(run: RunDirectory) -> None:
    expected = paused(run, 22)
    found = restore_latest(run, Paused(state(0), tally()), EPOCH)
    assert digest(found) == digest(expected)
    assert run.metrics.read_bytes().count(b"\n") == EPOCHS
    discard_paused(run)
    assert int(resume(run).step) == 20


@pytest.mark.parametrize("step", [18, 20])
def test_a_stop_before_the_newest_checkpoint_counts_no_more(run: RunDirectory, step: int) -> None:
    paused(run, step)
    assert int(resume(run).step) == 20


def test_the_epoch_begins_again_where_the_state_inside_of_it_is_damaged(
    run: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    paused(run, 22)
    flip_a_byte(run.paused)
    for _ in range(2):
        assert int(resume(run).step) == 20
    assert "the epoch that was interrupted begins again" in caplog.text


def read(run: RunDirectory) -> TrainState:
    return read_best(run, state(0), EPOCH)


def edit(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def of_another_state(line: bytes) -> bytes:
    """A record of an older version, which has no checksum, with another digest."""
    return re.sub(rb', "crc32": "\w+"', b"", line).replace(b'"state": "', b'"state": "0')


def refused(call: Callable[[RunDirectory], Any], run: RunDirectory, kind: type[FjdlError], message: str) -> None:
    before = snapshot(run.path)
    for _ in range(2):
        with pytest.raises(kind, match=message):
            call(run)
    assert snapshot(run.path) == before


GAPS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "emptied": lambda lines: [],
    "halved": lambda lines: lines[: len(lines) // 2],
    "the first line gone": lambda lines: lines[1:],
    "a line gone": lambda lines: lines[:2] + lines[3:],
    "the last line gone": lambda lines: lines[:-1],
    "the last line cut short": lambda lines: [*lines[:-1], lines[-1][:-5]],
    "a line doubled": lambda lines: [*lines[:2], *lines[1:]],
    "the last line doubled": lambda lines: [*lines, lines[-1]],
    "two lines exchanged": lambda lines: [lines[1], lines[0], *lines[2:]],
    "another epoch": lambda lines: [lines[0].replace(b'"epoch": 1', b'"epoch": 3'), *lines[1:]],
    "a number": lambda lines: [b"17\n", *lines[1:]],
    "a step that is a word": lambda lines: [lines[0].replace(b'"step": 4', b'"step": "4"'), *lines[1:]],
    "a step that is true": lambda lines: [lines[0].replace(b'"step": 4', b'"step": true'), *lines[1:]],
    "no step": lambda lines: [b"{}\n", *lines[1:]],
    "no JSON": lambda lines: [b"{#\n", *lines[1:]],
    "not UTF-8": lambda lines: [b"\xff\n", *lines[1:]],
    "too deep": lambda lines: [b"[" * 100_000 + b"\n", *lines[1:]],
}


@pytest.mark.parametrize("case", GAPS)
@pytest.mark.parametrize("name", ["metrics", "timing"])
def test_records_with_a_gap_are_refused_by_name_before_anything_is_written(
    name: str, case: str, run: RunDirectory
) -> None:
    path = getattr(run, name)
    edit(path, GAPS[case])
    refused(resume, run, StorageError, rf"{name}\.jsonl")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("metrics", b"1.0", b"[]"), ("metrics", b'"state": "', b'"state": 3, "x": "'), ("timing", b"0.5", b'"0.5"')],
)
def test_a_value_of_another_type_is_refused(name: str, old: bytes, new: bytes, run: RunDirectory) -> None:
    edit(getattr(run, name), lambda lines: [lines[0], lines[1].replace(old, new), *lines[2:]])
    refused(resume, run, StorageError, rf"{name}\.jsonl.* line 2")


def test_records_of_another_state_are_refused(run: RunDirectory) -> None:
    edit(run.metrics, lambda lines: [*lines[:-1], of_another_state(lines[-1])])
    refused(resume, run, CheckpointError, "20 holds state")


def test_records_after_the_checkpoint_are_dropped_whatever_they_say(run: RunDirectory) -> None:
    shutil.rmtree(run.checkpoints / "20")
    edit(run.metrics, lambda lines: [*lines, lines[-1], b'{"step": 99, "epoch": 1}\n', b'{"st'])
    assert digest(resume(run)) == digest(state(16))
    assert [len(path.read_bytes().splitlines()) for path in (run.metrics, run.timing)] == [4, 4]


@pytest.mark.parametrize("call", [resume, read])
@pytest.mark.parametrize("gone", ["empty", "missing"])
def test_a_run_whose_checkpoints_are_gone_says_so_and_does_not_start_afresh(
    gone: str, call: Callable[[RunDirectory], Any], run: RunDirectory
) -> None:
    shutil.rmtree(run.checkpoints)
    if gone == "empty":
        run.checkpoints.mkdir()
    refused(call, run, StorageError, r"records of 5 epochs, but .*checkpoints holds no checkpoint any more")


def test_a_run_that_was_cut_short_in_its_first_save_starts_again(run: RunDirectory) -> None:
    shutil.rmtree(run.checkpoints)
    edit(run.metrics, lambda lines: lines[:1])
    refused(read, run, CheckpointError, "holds no checkpoint yet, train it first")
    assert resume(run).step == 0
    assert run.metrics.read_bytes() == run.timing.read_bytes() == b""


def test_a_record_without_a_step_in_a_run_without_checkpoints_is_refused(run: RunDirectory) -> None:
    shutil.rmtree(run.checkpoints)
    run.metrics.write_bytes(b"{}\n")
    refused(resume, run, StorageError, r"metrics\.jsonl must have a number as the step")


def test_a_finished_run_is_read_at_its_recorded_step(run: RunDirectory) -> None:
    finish(run)
    flip_a_byte(run.checkpoints / "20")  # the best is another one
    before = snapshot(run.path)
    assert digest(read(run)) == digest(state(8))
    assert snapshot(run.path) == before


DAMAGE: dict[str, Callable[[RunDirectory], Any]] = {
    "damaged": lambda run: flip_a_byte(run.checkpoints / "8"),
    "missing": lambda run: shutil.rmtree(run.checkpoints / "8"),
    "set aside": lambda run: (run.checkpoints / "8").rename(run.checkpoints / "8.corrupt"),
    "all missing": lambda run: shutil.rmtree(run.checkpoints),
    "another": lambda run: finish(run, state=digest(state(20))),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_finished_run_without_its_recorded_state_is_not_read_at_another(case: str, run: RunDirectory) -> None:
    finish(run)
    DAMAGE[case](run)
    refused(read, run, CheckpointError, r"checkpoints/8\b")


def test_an_unfinished_run_is_read_past_a_damaged_checkpoint_with_a_warning_each_time(
    run: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    flip_a_byte(run.checkpoints / "20")
    before = snapshot(run.path)
    for _ in range(2):
        caplog.clear()
        assert digest(read(run)) == digest(state(8))
        assert "checkpoint 20 is passed over" in caplog.text
    assert snapshot(run.path) == before


def test_an_unfinished_run_whose_best_state_is_not_the_recorded_one_is_refused(run: RunDirectory) -> None:
    edit(run.metrics, lambda lines: [lines[0], of_another_state(lines[1]), *lines[2:]])
    refused(read, run, CheckpointError, "checkpoints/8 holds state")


@pytest.mark.parametrize("content", [17, "done", [], {}, None, {"state": "ab", "best_step": 8}])
def test_what_is_no_result_does_not_finish_a_run(content: Any, run: RunDirectory) -> None:
    run.result.write_text(encode_json(content))
    refused(read, run, StorageError, r"result\.json must h(ave|old)")
    assert read_json(run.result) == content
