"""Several processes that train together on CPU devices: as one device does, and nothing is lost with one of them."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fjdl.errors import UsageError
from fjdl.peers import Seat, seat_of
from fjdl.train.processes import data_digest, local_rows
from tests.support import ROOT
from tests.train.started import ADDRESS, COUNT, INDEX, ended, environment, start_all
from tests.train.toy import mesh, source, splits

STEPS = 50


def together(folder: Path, devices: int, count: int, *cases: str) -> dict[str, Any]:
    folder.mkdir()
    for status, said in ended(start_all(["-m", "tests.train.together", folder, STEPS, *cases], devices, count)):
        assert status == 0, said
    return json.loads((folder / "found.json").read_text())


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """On one device, which has whole copies in every layout."""
    found = together(tmp_path_factory.mktemp("alone") / "one", 1, 1, "lenet copies", "resnet copies", "lenet at once")
    return found | {name.replace("copies", "parts"): measures for name, measures in found.items()}


CASES = [(1, 8, ["lenet parts", "resnet copies"]), (2, 4, ["lenet copies", "resnet parts"])]
AT_NIGHT = [pytest.param(count, 8 // count, [], marks=pytest.mark.slow) for count in (1, 2, 4)]


@pytest.mark.by_day_on_pin(1)
@pytest.mark.parametrize(("count", "devices", "cases"), [*CASES, *AT_NIGHT])
def test_processes_see_the_examples_of_one_device_and_learn_the_same(
    alone: dict[str, Any], tmp_path: Path, count: int, devices: int, cases: list[str]
) -> None:
    found = together(tmp_path / "several", devices, count, *cases)
    assert len(found) == len(cases or alone)
    for name, expected in [(name, alone[name]) for name in found]:
        assert found[name].get("seen") == expected.get("seen")
        for measure in expected.keys() - {"seen"}:
            np.testing.assert_allclose(found[name][measure], expected[measure], rtol=1e-5, err_msg=name)


FLAGS = ("configs/digits_logistic.py", "--epochs", "4")


def lines(run: Path) -> int:
    return (run / "metrics.jsonl").read_bytes().count(b"\n") if (run / "metrics.jsonl").exists() else 0


def children(process: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def supervised(run: Path, kills: Sequence[tuple[int, int, float]] = (), *, cache: Path) -> dict[str, Any]:
    """What a run of two processes leaves, of which each kill ends one: so many records and seconds later."""
    words = ["-m", "experiments.supervise", "--processes", "2", "--wait", "0.1", "--", *FLAGS, "--run-dir", str(run)]
    variables = {**environment(2), "JAX_COMPILATION_CACHE_DIR": str(cache)}
    with subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        for index, records, seconds in kills:
            while process.poll() is None and (lines(run) < records or len(children(process.pid)) < 2):
                time.sleep(0.01)
            time.sleep(seconds)
            victims = children(process.pid)
            if index < len(victims):
                os.kill(victims[index], signal.SIGKILL)
                while process.poll() is None and victims[index] in children(process.pid):
                    time.sleep(0.01)
        _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err.decode()[-3000:]
    result = json.loads((run / "result.json").read_text())
    return {"records": (run / "metrics.jsonl").read_bytes(), "result": result, "said": err.decode()}


def unkilled(tmp_path: Path, kills: Sequence[tuple[int, int, float]]) -> str:
    """What is said meanwhile."""
    whole = supervised(tmp_path / "whole", cache=tmp_path / "cache")
    killed = supervised(tmp_path / "killed", kills, cache=tmp_path / "cache")
    assert killed["records"] == whole["records"]
    for name in ("state", "best_step", "test", "validation"):
        assert killed["result"][name] == whole["result"][name]
    return killed["said"]


@pytest.mark.by_day_on_pin(1)
@pytest.mark.skipif(sys.platform != "linux", reason="children are found as Linux tells them")
def test_a_kill_of_either_process_costs_no_bit(tmp_path: Path) -> None:
    said = unkilled(tmp_path, [(1, 1, 0.0), (0, 2, 0.0)])
    for number in (0, 1):
        assert f"fjdl: process {number} of 2 ended without a word, killed or crashed; the same command" in said


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children are found as Linux tells them")
def test_ten_kills_at_random_instants_cost_no_bit(tmp_path: Path) -> None:
    chance = random.Random(0)
    kills = [(chance.randrange(2), min(number // 2, 3), chance.uniform(0, 6)) for number in range(10)]
    unkilled(tmp_path, kills)


def test_the_place_of_a_process_is_read_from_the_environment() -> None:
    named = {ADDRESS: "10.0.0.1:8476", COUNT: "4", INDEX: "3"}
    assert seat_of(named) == Seat(3, 4, "10.0.0.1:8476")
    assert seat_of({}) is seat_of({ADDRESS: ""}) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({INDEX: ""}, f"{ADDRESS}, {COUNT}, {INDEX} must be set together, but {INDEX} is not"),
        ({INDEX: "4"}, f"{INDEX} must be a number below {COUNT}, got '4' and '4'"),
        ({COUNT: "many"}, f"{INDEX} must be a number below {COUNT}, got '3' and 'many'"),
        ({ADDRESS: "10.0.0.1"}, f"{ADDRESS} must be host:port of process 0, got '10.0.0.1'"),
    ],
)
def test_a_place_that_cannot_be_is_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        seat_of({ADDRESS: "10.0.0.1:8476", COUNT: "4", INDEX: "3", **changes})


def test_the_digest_of_data_depends_on_each_example_of_each_part() -> None:
    first = data_digest(splits())
    assert first == data_digest(splits(source(0, 100))) != data_digest(splits(source(1, 100)))
    assert data_digest(splits(source(0, 99))) != first


def test_one_process_sees_all_rows_of_a_batch() -> None:
    assert local_rows(16, mesh(8)) is None
