"""A run that is killed and started again ends with the bits of a run that was left alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import verify_resume
from fjdl.train.json_files import read_json
from tests.support import ROOT

TINY = ("configs/iris_mlp.py", "--epochs", "4", "--batch-size", "64", "--hidden", "4")
SAVING = ("after-data", "during-deletion")
EVERYWHERE = ("before-write", "after-data", "after-manifest", "before-rename", "after-rename", "during-deletion")


@pytest.fixture(scope="module", autouse=True)
def processes_of_one_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_NUM_CPU_DEVICES", "1")
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("xla")))
        patch.chdir(ROOT)
        yield


def train(run: Path, *, crash_at: str = "") -> int:
    """The exit status of a tiny run; negative for the signal that killed it."""
    command = [sys.executable, "-m", "experiments.train", *TINY, "--run-dir", str(run)]
    environment = {**os.environ, "FJDL_CRASH_AT": crash_at}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def test_two_kills_change_no_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_resume.verify(Path(TINY[0]), [*TINY[1:]], kills=2, folder=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("killed") for line in lines) == 2
    assert lines[-1] == "after 2 kills: the same bits as without"


@pytest.mark.parametrize("points", [SAVING, pytest.param(EVERYWHERE, marks=pytest.mark.slow)], ids=["some", "all"])
def test_crashes_while_saving_change_no_bit(points: tuple[str, ...], tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(whole) == 0
    for name in points:
        assert train(broken, crash_at=name) == -signal.SIGKILL, name
        assert not (broken / "result.json").exists()
    assert train(broken) == 0
    assert (broken / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert read_json(broken / "result.json")["state"] == read_json(whole / "result.json")["state"]
    steps = [{path.name for path in (run / "checkpoints").iterdir()} for run in (whole, broken)]
    assert steps[0] == steps[1]


def test_a_run_that_differs_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = 'import sys, pathlib as p; r = p.Path(sys.argv[1]); r.mkdir(); s = \'{"state": "%s"}\\n\' % len(r.name)'
    program += "; [(r / name).write_text(s) for name in ('metrics.jsonl', 'result.json')]"
    finish = verify_resume.finish
    monkeypatch.setattr(verify_resume, "finish", lambda command, run: finish([sys.executable, "-c", program], run))
    monkeypatch.setattr(verify_resume, "plan", lambda *args, **options: [verify_resume.Kill(0, 0.0)])
    monkeypatch.setattr(verify_resume, "interrupt", lambda *args: [])
    assert not verify_resume.verify(Path("config.py"), [], kills=1, folder=tmp_path)
    verdict = "after 1 kills: differs in the best state and the last state and metrics.jsonl\n"
    assert capsys.readouterr().out == verdict


def test_instants_are_seeded_and_cover_start_up_and_the_whole_training(tmp_path: Path) -> None:
    seconds = [5.0, *[1.0] * 99]
    (tmp_path / "timing.jsonl").write_text("".join(f'{{"seconds": {value}}}\n' for value in seconds))
    instants = verify_resume.plan(tmp_path, 60, wall=110.0, seed=3)
    assert instants == verify_resume.plan(tmp_path, 60, wall=110.0, seed=3)
    assert instants != verify_resume.plan(tmp_path, 60, wall=110.0, seed=4)
    early, late = instants[::3], [kill for number, kill in enumerate(instants) if number % 3]
    assert all(kill.epochs == 0 and 0 <= kill.seconds <= 11 for kill in early)
    assert max(kill.seconds for kill in early) > 8
    assert [kill.epochs for kill in late] == sorted(kill.epochs for kill in late)
    assert min(kill.epochs for kill in late) < 10
    assert max(kill.epochs for kill in late) > 90
    assert all(kill.seconds <= 1 for kill in late)


@pytest.mark.slow
def test_twenty_kills_of_a_convolutional_network_change_no_bit(tmp_path: Path) -> None:
    assert verify_resume.verify(Path("configs/digits_lenet.py"), ["--epochs", "30"], kills=20, folder=tmp_path)
