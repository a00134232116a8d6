"""A run that is killed or stopped and started again ends with the bits of a run that was left alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.verifications import resume
from experiments.verifications.resume import Kill, Verdict, plan, row, verify
from fjdl.train.json_files import read_json
from tests.experiments.support import USAGE, Command, sentence
from tests.support import ROOT

TINY = ("configs/iris_mlp.py", "--epochs", "4", "--batch-size", "64", "--hidden", "4")
LONGER = ("configs/digits_logistic.py", "--epochs", "15")
EVERYWHERE = ("before-write", "after-data", "after-manifest", "before-rename", "after-rename", "during-deletion")


@pytest.fixture(scope="module", autouse=True)
def processes_of_one_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_NUM_CPU_DEVICES", "1")
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("xla")))
        patch.chdir(ROOT)
        yield


def start(config: tuple[str, ...], run: Path, *, crash_at: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "experiments.train", *config, "--run-dir", str(run)]
    environment = {**os.environ, "FJDL_CRASH_AT": crash_at}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def train(config: tuple[str, ...], run: Path, *, crash_at: str = "") -> tuple[int, str]:
    """The exit status, negative for the signal that killed it, and what it printed."""
    process = start(config, run, crash_at=crash_at)
    printed = process.communicate()[0]
    return process.returncode, printed


def same_ends(one: Path, other: Path) -> bool:
    """Whether two runs have the same records, the same state and the same steps on disk."""
    steps = [{path.name for path in (run / "checkpoints").iterdir()} for run in (one, other)]
    states = [read_json(run / "result.json")["state"] for run in (one, other)]
    records = [(run / "metrics.jsonl").read_bytes() for run in (one, other)]
    return all(first == second for first, second in (steps, states, records))


@pytest.mark.slow
def test_two_kills_change_no_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verify(Path(TINY[0]), [*TINY[1:]], kills=2, folder=tmp_path)
    assert (verdict.kills, verdict.early, verdict.differing) == (2, 1, 0)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("killed") for line in lines) == 2
    assert lines[-1] == "after 2 kills: the same bits as without"


@pytest.mark.slow
def test_crashes_while_saving_change_no_bit(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(TINY, whole)[0] == 0
    for name in EVERYWHERE:
        assert train(TINY, broken, crash_at=name)[0] == -signal.SIGKILL, name
        assert not (broken / "result.json").exists()
    assert train(TINY, broken)[0] == 0
    assert same_ends(broken, whole)


@pytest.mark.by_day_on_pin(1)
def test_a_polite_end_says_143_and_neither_it_nor_a_crash_while_saving_changes_a_bit(tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "stopped"
    assert train(LONGER, whole)[0] == 0

    process = start(LONGER, run)
    while process.poll() is None and not any((run / "checkpoints").glob("[0-9]*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    errors = process.communicate()[1]
    assert process.returncode == 143, errors
    assert "fjdl: stopped by SIGTERM; the same command resumes" in errors
    assert not (run / "result.json").exists()
    done = len((run / "metrics.jsonl").read_text().splitlines())
    assert 1 <= done < 15

    assert train(LONGER, run, crash_at="after-data")[0] == -signal.SIGKILL
    assert not (run / "result.json").exists()
    status, printed = train(LONGER, run)
    assert status == 0
    assert f"resumed from step {19 * done}, state " in printed
    assert same_ends(run, whole)


def test_a_run_that_differs_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = 'import sys, pathlib as p; r = p.Path(sys.argv[1]); r.mkdir(); s = \'{"state": "%s"}\\n\' % len(r.name)'
    program += "; [(r / name).write_text(s) for name in ('metrics.jsonl', 'result.json')]"
    finish = resume.finish
    monkeypatch.setattr(resume, "finish", lambda command, run: finish([sys.executable, "-c", program], run))
    monkeypatch.setattr(resume, "plan", lambda *args, **options: [Kill(0, 0.0)])
    monkeypatch.setattr(resume, "interrupt", lambda *args: [])
    found = verify(Path("config.py"), [], kills=1, folder=tmp_path)
    assert (found.kills, found.early, found.runs, found.differing) == (1, 1, 1, 3)
    verdict = "after 1 kills: differs in the best state and the last state and metrics.jsonl\n"
    assert capsys.readouterr().out == verdict


def test_instants_are_seeded_and_cover_start_up_and_the_whole_training(tmp_path: Path) -> None:
    seconds = [5.0, *[1.0] * 99]
    (tmp_path / "timing.jsonl").write_text("".join(f'{{"seconds": {value}}}\n' for value in seconds))
    instants = plan(tmp_path, 60, wall=110.0, seed=3)
    assert instants == plan(tmp_path, 60, wall=110.0, seed=3)
    assert instants != plan(tmp_path, 60, wall=110.0, seed=4)
    early, late = instants[::3], [kill for number, kill in enumerate(instants) if number % 3]
    assert all(kill.epochs == 0 and 0 <= kill.seconds <= 11 for kill in early)
    assert max(kill.seconds for kill in early) > 8
    assert [kill.epochs for kill in late] == sorted(kill.epochs for kill in late)
    assert min(kill.epochs for kill in late) < 10
    assert max(kill.epochs for kill in late) > 90
    assert all(kill.seconds <= 1 for kill in late)


@pytest.mark.slow
def test_twenty_kills_of_a_convolutional_network_change_no_bit(tmp_path: Path) -> None:
    assert not verify(Path("configs/digits_lenet.py"), ["--epochs", "30"], kills=20, folder=tmp_path).differing


def test_kills_are_shared_among_configs_and_one_difference_fails_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    asked: list[tuple[Path, list[str], int]] = []

    def verify(config: Path, flags: list[str], *, kills: int, folder: Path, seed: int) -> Verdict:
        asked.append((config, flags, kills))
        print("progress")
        return Verdict(kills, 1, 2, int(config.stem == "b"), 1.25)

    monkeypatch.setattr(resume, "verify", verify)
    page = tmp_path / "page.md"
    outcome = command("verify", "resume", "a.py", "b.py", "--kills", 3, "--write", page, "--epochs", 2)
    assert outcome.status == 1
    assert asked == [(Path("a.py"), ["--epochs", "2"], 2), (Path("b.py"), ["--epochs", "2"], 1)]
    assert outcome.err == "progress\nprogress\n"
    assert outcome.out.splitlines()[2:] == [
        row(Path("a.py"), Verdict(2, 1, 2, 0, 1.25)),
        row(Path("b.py"), Verdict(1, 1, 2, 1, 1.25)),
    ]
    assert "| b | 1 | 1 | 2 | 1 | 1.2 |" in page.read_text()
    assert command("verify", "resume", "a.py", "--kills", 0).status == USAGE
    assert "verify needs one of" in sentence(command("verify", "resumee"))
    assert command("verify", "--help").out.startswith("Whether the promises about runs hold here")
