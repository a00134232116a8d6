"""What `experiments.verify` does to runs: damage that is found out, disks that are full, signals at any time."""

import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.verifications import damage, disk, repro, signals
from experiments.verifications.damage import COLUMNS, damages, judged, told
from experiments.verifications.resume import ended
from fjdl.errors import StorageError
from fjdl.train.documents import CODE, read_sealed, write_sealed
from tests.experiments.conftest import FLAGS
from tests.experiments.support import USAGE, Command, sentence, snapshot


def test_damages_are_single_bits_cuts_and_deletion() -> None:
    content = bytes(range(40))
    found = dict(damages(content, 20, random.Random(1)))
    flipped = [made for name, made in found.items() if name.startswith("bit")]
    assert len(flipped) == 20
    for made in flipped:
        assert made is not None
        assert sum((a ^ b).bit_count() for a, b in zip(made, content, strict=True)) == 1
    assert found["cut to 0 bytes"] == b""
    assert found["deleted"] is None
    assert [made for _, made in damages(b"", 20, random.Random(1))] == [None]


def refusing(path: Path) -> Any:
    raise StorageError("no")


def breaking(path: Path) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("reader", "kind"),
    [
        (lambda path: [1, 2], "without effect"),
        (lambda path: {"state": 3}, "silent"),
        (lambda path: {"state": 3, "warnings": ("gone",)}, "recovered with a warning"),
        (refusing, "refused"),
        (breaking, "crashes"),
    ],
)
def test_each_outcome_is_told_apart(reader: damage.Reader, kind: str, tmp_path: Path) -> None:
    expected = told(lambda path: [1, 2], tmp_path)
    assert judged(reader, tmp_path, expected)[1].kind == kind
    assert kind in COLUMNS


def test_files_of_a_run_that_are_damaged_are_found_out_and_the_run_is_unchanged(
    trained_run: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = snapshot(run)
    monkeypatch.setattr(damage, "files_of", lambda path: sorted(path.glob("*.json*")))
    outcome = command("verify", "damage", run, "--flips", 2)
    assert outcome.status == 0, outcome
    rows = {row.split(" | ")[0].removeprefix("| "): row.split(" | ")[1:7] for row in outcome.out.splitlines()[2:]}
    assert rows.keys() == {
        "config.json",
        "data.json",
        "env.json",
        "git.json",
        "metrics.jsonl",
        "result.json",
        "timing.jsonl",
    }
    for counts in rows.values():
        assert int(counts[0]) == 5
        assert int(counts[1]) >= 3
        assert counts[-2:] == ["0", "0"]
    assert snapshot(run) == before


@pytest.mark.slow
def test_every_file_of_a_run_is_found_out(trained_run: Path, command: Command) -> None:
    assert command("verify", "damage", trained_run, "--flips", 3).status == 0


def test_a_run_that_is_trained_again_is_compared_in_records_and_surroundings(
    trained_run: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def finish(words: list[str], run: Path) -> dict[str, str]:
        asked.append(words)
        shutil.copytree(trained_run, run)
        return ended(run)

    monkeypatch.setattr(repro, "finish", finish)
    same = command("verify", "repro", trained_run)
    assert (same.status, same.out) == (0, "the same bits\n")
    assert asked[0] == [sys.executable, "-m", "experiments.train", *FLAGS, "--run-dir"]
    first = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 3.0}]
    assert repro.first_difference(first, [first[0], {"epoch": 2, "loss": 4.0}]) == [
        "epoch 2 is the first that differs: loss 3.0 and 4.0"
    ]
    assert repro.first_difference([{"epoch": 1}], []) == ["all 0 epochs that both have are the same, of 1 and 0"]
    other = Path(shutil.copytree(trained_run, tmp_path / "other"))
    code = read_sealed(other / "git.json", CODE)
    write_sealed(other / "git.json", {**code, "commit": "abc"})
    assert repro.differences(trained_run, other) == [f"commit: the run had {code['commit']}, now abc"]
    assert f"{tmp_path} is not finished" in sentence(command("verify", "repro", tmp_path))


def test_damage_needs_a_finished_run(tmp_path: Path, command: Command) -> None:
    assert f"{tmp_path} is not finished" in sentence(command("verify", "damage", tmp_path))
    assert command("verify", "damage", tmp_path, "--flips", 0).status == USAGE


@pytest.mark.slow
def test_bad_disks_cost_no_bit(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    assert command("verify", "disk", "configs/digits_logistic.py").status == 0


@pytest.mark.slow
def test_signals_end_a_training_in_each_phase(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    assert command("verify", "signals", "configs/digits_logistic.py", "--times", 1).status == 0


def test_a_disk_that_costs_a_bit_or_says_more_than_a_sentence_fails() -> None:
    good = disk.Outcome(6, ["fjdl: /tmp/x/full/run is full"], same=True)
    assert good.holds
    assert not good._replace(same=False).holds
    assert not good._replace(errors=[*good.errors, "Traceback"]).holds
    assert not good._replace(status=1).holds
    assert "| full/run is full | the same bits |" in disk.row("full", good, "/tmp/x")


def test_the_longest_answer_to_a_signal_is_told() -> None:
    stops = [signals.Stop(0.5, 143, same=True), signals.Stop(2.04, 0, same=False)]
    assert signals.row("it saves", stops).startswith("| it saves | 2 | 2.0 | 0, 143 | other bits |")
