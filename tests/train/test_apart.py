"""A process that does not come, dies, or was started otherwise: each other one names it in one sentence and ends."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fjdl.peers import Seat
from tests.train.started import ended, free_address, start

SECONDS = 8.0  # in which processes wait for one that does not come
HURRIED, PATIENT = {"WITHIN": str(SECONDS)}, {"WITHIN": "60"}
AGAIN = "; the same command on all processes resumes"
CONFIG = """
import os
from tests.train.toy import recipe as toy, source, splits

def recipe(*, seed: int = 0, batch_size: int = 32):
    return toy(splits=lambda: splits(source(int(os.environ.get("FIRST", "0")), 100)), seed=seed, batch_size=batch_size)
"""


@pytest.fixture
def words(tmp_path: Path) -> list[object]:
    """A training of few digits, of which a variable says where they begin."""
    (tmp_path / "config.py").write_text(CONFIG)
    return ["-m", "tests.train.hurried", tmp_path / "config.py", "--run-dir", tmp_path / "run"]


def both(words: Sequence[object], *flags: Sequence[str], **changes: Mapping[str, str]) -> list[subprocess.Popen]:
    """Two processes, each with its flags and, as `process1={...}`, further variables."""
    address = free_address()
    each = flags or ((), ())
    return [
        start([*words, *more], 1, Seat(index, 2, address), **PATIENT, **changes.get(f"process{index}", {}))
        for index, more in enumerate(each)
    ]


@pytest.mark.by_day_on_pin(1)
def test_a_process_that_does_not_come_is_named_by_all_that_did(words: list[object]) -> None:
    there, elsewhere = free_address(), free_address()
    waiting = [start(words, 1, Seat(index, 3, there), **HURRIED) for index in (0, 1)]
    late = start(words, 1, Seat(1, 2, elsewhere), **HURRIED)
    port = int(there.rpartition(":")[2]) + 1
    sentence = f"fjdl: process 2 of 3 did not come to 127.0.0.1:{port} within {SECONDS:g} s"
    assert ended(waiting) == [(7, sentence)] * 2
    ((status, said),) = ended([late])
    assert status == 7
    assert re.fullmatch(rf"fjdl: process 0 of 2 did not answer at 127.0.0.1:\d+ within {SECONDS:g} s", said)


DIFFERENT = {
    "devices": ((), {"JAX_NUM_CPU_DEVICES": "2"}, "devices 2 x cpu, process 0 has 1 x cpu"),
    "arguments": (("--batch-size", "16"), {}, "--batch-size 16, process 0 has 32"),
    "data": ((), {"FIRST": "1"}, r"data [0-9a-f]{16}, process 0 has [0-9a-f]{16}"),
}


@pytest.mark.parametrize("what", ["arguments", "data", pytest.param("devices", marks=pytest.mark.slow)])
def test_a_process_that_was_started_otherwise_is_named_by_both(what: str, words: list[object], tmp_path: Path) -> None:
    flags, variables, difference = DIFFERENT[what]
    (first, said), second = ended(both(words, (), flags, process1=variables))
    assert (first, said) == second
    assert first == 7
    assert re.fullmatch(rf"fjdl: process 1 of 2 has {difference}; all must be started alike", said)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("index", "place"), [(0, "require_alike"), (1, "require_same_data")])
def test_a_process_that_is_killed_before_the_training_is_named(index: int, place: str, words: list[object]) -> None:
    found = ended(both(words, (), (), **{f"process{index}": {"DIES_BEFORE": place}}))
    assert found[index][0] == -9
    sentence = f"fjdl: process {index} of 2 ended without a word, killed or crashed{AGAIN}"
    assert found[1 - index] == (7, sentence)


@pytest.mark.slow
def test_a_process_with_an_unknown_flag_is_missed(words: list[object]) -> None:
    (status, said), (other, _) = ended(both(words, (), ("--batchsize", "16")))
    assert (status, other) == (7, 2)
    assert said == "fjdl: process 1 of 2 ended with status 2: its command line is wrong, it has said how"


@pytest.mark.by_day_on_pin(1)
def test_a_bug_in_the_first_process_is_shown_there_and_named_by_the_other(words: list[object]) -> None:
    (status, trace), (other, said) = ended(both(words, (), (), process0={"FIRST": "none"}))
    assert (status, other) == (1, 7)
    assert "Traceback" in trace
    assert said.startswith("fjdl: process 0 of 2 ended with status 1: invalid literal for int() with base 10: 'none'")
