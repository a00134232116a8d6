"""Where the time of an epoch goes, by a clock and devices of the test's own, and in trainings on the CPU."""

import dataclasses
import io
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fjdl.analysis import Chip
from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.train import watch as watched
from fjdl.train.json_files import read_jsonl
from fjdl.train.prepare import prepare
from fjdl.train.progress import Progress
from fjdl.train.waiting import Waiting
from fjdl.train.watch import GIB, Timing, Watch, Work, memory, peak_of, work_of
from tests.train.runs import AT_REST, train
from tests.train.toy import devices, mesh, quick, recipe, splits

STREAMED = dataclasses.replace(splits(), train=splits().train._replace(streamed=True))
FAST = Chip(name="a chip", kinds=("cpu",), flops=2e9, hbm=GIB, bandwidth=1e9)


class Result:
    """A number on a device that is done or not."""

    def __init__(self, clock: list[float], done_at: float) -> None:
        self.clock, self.done_at, self.waited_for = clock, done_at, False

    def is_ready(self) -> bool:
        return self.clock[0] >= self.done_at

    def block_until_ready(self) -> None:
        self.waited_for = True
        self.clock[0] = max(self.clock[0], self.done_at)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, which the test sets."""
    now = [100.0]
    monkeypatch.setattr(watched.time, "monotonic", lambda: now[0])
    return now


def watch(*, streamed: bool) -> tuple[Watch, io.StringIO]:
    """Of epochs of 4 steps and 100 examples at 5 MFLOP, on devices that give 1 GFLOP/s together."""
    stream = io.StringIO()
    work = Work(steps=4, examples=100, operations=5e6, peak=1e9, streamed=streamed)
    return Watch(work, mesh(), Progress(8, stream=stream)), stream


def test_an_epoch_on_the_devices_is_timed_to_the_end_of_its_training(clock: list[float]) -> None:
    told, _ = watch(streamed=False)
    told.begin()
    told.before(0, until=4)
    clock[0] += 0.5
    told.after(4, Result(clock, 102.0))
    told.trained(Result(clock, 102.0))
    clock[0] = 103.0  # the evaluation
    timing = told.timing()
    assert timing == Timing(
        seconds=3.0, compile_seconds=0.0, train_seconds=2.0, steps_per_second=2.0, examples_per_second=50.0,
        mfu=0.25, data_wait=None, memory_bytes=None, peak_memory_bytes=None, memory_limit_bytes=None,
    )  # fmt: skip
    assert timing.text() == "2 steps/s, 50 examples/s, MFU 25.0 %"


def test_what_compiles_is_said_once(clock: list[float]) -> None:
    said: list[str] = []
    told = Watch(Work(1, 1, None, None, streamed=False), mesh(), Progress(2, stream=io.StringIO()), say=said.append)
    for step in (1, 2):
        told.begin()
        told.after(step, Result(clock, 0.0))
    assert said == ["compiling ...", "compiled the training in 0.0 s"]


def test_a_long_compilation_is_said_again_and_again_until_it_ends() -> None:
    said: list[str] = []
    enough = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            enough.set()

    waiting = Waiting("compiling", say, seconds=0.01)
    waiting.end()
    waiting.begin()
    assert enough.wait(20)
    waiting.end()
    assert all(re.fullmatch(r"compiling \(\d+ s so far\)", line) for line in said)


def test_a_wait_for_data_counts_where_the_devices_had_nothing_to_do(clock: list[float]) -> None:
    told, stream = watch(streamed=True)
    told.begin()
    results = []
    for step, (wait, work) in enumerate([(1.0, 2.0), (0.5, 3.0), (4.0, 1.0), (0.0, 1.0)]):
        clock[0] += wait
        told.before(step, until=step + 1)
        results.append(Result(clock, clock[0] + work))
        told.after(step + 1, results[-1])
    timing = told.timing()
    assert [result.waited_for for result in results] == [False, False, False, True]
    assert timing.train_seconds == 1.0 + 0.5 + 4.0 + 1.0  # the host waits for the last step
    assert timing.data_wait == pytest.approx((1.0 + 4.0) / 6.5)
    assert timing.steps_per_second == pytest.approx(4 / 6.5)
    assert timing.text().endswith("77 % waiting for data")
    assert stream.getvalue() == "step 3/8\n"  # after five seconds


def test_the_end_of_a_training_that_an_evaluation_s_compilation_hid_is_not_made_up(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, _ = watch(streamed=False)
    compiled = [1.0]
    monkeypatch.setattr(told, "_compiling", SimpleNamespace(seconds=lambda: compiled[0]))
    for done_at, expected in ((102.5, None), (108.0, 4 / (8.0 - 1.0))):
        clock[0] = 100.0
        told.begin()
        compiled[0] += 1.0
        told.after(4, Result(clock, done_at))
        compiled[0] += 4.0
        clock[0] = 105.0
        told.trained(Result(clock, done_at))
        timing = told.timing()
        assert timing.compile_seconds == 5.0
        assert (timing.steps_per_second, timing.train_seconds) == (expected, None if expected is None else 8.0)


def test_the_memory_is_that_of_the_fullest_device() -> None:
    def device(*used: int) -> Any:
        names = ("bytes_in_use", "peak_bytes_in_use", "bytes_limit")
        return SimpleNamespace(memory_stats=lambda: dict(zip(names, used, strict=True)) if used else None)

    two: Any = SimpleNamespace(local_devices=[device(3, 9, 32 * GIB), device(5, 7, 32 * GIB), device()])
    assert list(memory(two).values()) == [5, 9, 32 * GIB]
    assert list(memory(mesh()).values()) == [None, None, None]
    timing = Timing(1.0, 0.0, None, None, None, None, None, 2 * GIB, 3 * GIB, 16 * GIB)
    assert timing.text() == "3.0 of 16.0 GiB"


def test_the_operations_of_an_epoch_are_three_forward_passes_where_chip_and_network_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = recipe(model=quick(MLP(hidden=(16,), classes=10)))
    prepared = prepare(made, devices=devices(2))
    assert work_of(prepared) == Work(4, 100, None, None, streamed=False)
    monkeypatch.setattr(watched, "chip_of", lambda kind: FAST if kind == "cpu" else None)
    assert work_of(prepared) == Work(4, 100, None, 4e9, streamed=False)  # the model does not tell its layers
    layers = MLP(hidden=(16,), classes=10)
    known = prepare(dataclasses.replace(made, model=made.model._replace(layers=pure(layers).layers)), devices=devices())
    assert work_of(known) == Work(4, 100, 6.0 * (64 * 16 + 16 * 10), 2e9, streamed=False)
    monkeypatch.setattr(watched, "chip_of", lambda kind: None)
    assert peak_of(mesh(2)) is None


@pytest.mark.parametrize("streamed", [False, True])
def test_a_training_tells_its_rates_and_keeps_them_out_of_what_the_seed_decides(
    streamed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(dataclasses.replace(AT_REST, epochs=3), tmp_path, STREAMED if streamed else splits())
    out, err = capsys.readouterr()
    assert out == ""
    times, records = (read_jsonl(tmp_path / f"{name}.jsonl") for name in ("timing", "metrics"))
    assert all(list(time) == ["step", "epoch", *Timing._fields] for time in times)
    assert times[0]["compile_seconds"] > 0
    assert times[2]["compile_seconds"] == 0
    last = times[2]
    assert 0 < last["train_seconds"] <= last["seconds"]
    assert last["steps_per_second"] == pytest.approx(4 / last["train_seconds"])
    assert last["examples_per_second"] == pytest.approx(100 / last["train_seconds"])
    assert (last["data_wait"] is None) != streamed
    assert not streamed or 0 <= last["data_wait"] <= 1
    assert last["mfu"] is None
    assert not set(records[0]) & set(Timing._fields)
    assert " steps/s, " in err.splitlines()[-1]
    assert ("waiting for data" in err) == streamed
