"""Entry points run inside the test's process, and what they must leave alone."""

import hashlib
import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.command import run_guarded

USAGE, DATA, CHECKPOINT, STORAGE = 2, 3, 4, 6  # exit statuses


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`run("train", "configs/x.py", "--epochs", 2)` does what `python -m experiments.train` does."""

    def run(name: str, *arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        capsys.readouterr()
        status = invoke(name)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


def invoke(name: str) -> int:
    """Exit status of an entry point with the present `sys.argv`."""
    try:
        run_guarded(importlib.import_module(f"experiments.{name}").main)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def sentence(outcome: Outcome) -> str:
    """The one line that an error prints; warnings about the environment may come before it."""
    lines = [line for line in outcome.err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("fjdl: ")
    return lines[0].removeprefix("fjdl: ")


def snapshot(folder: Path) -> dict[str, str]:
    """sha256 of every file below but Python's bytecode, and the lock, which names the process that held it last."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "LOCK")
    files = (path for path in files if path.parent.name != "__pycache__")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def unfinished(run: Path, to: Path) -> Path:
    """A copy of the run as it was before its result was written."""
    shutil.copytree(run, to)
    (to / "result.json").unlink()
    return to


def flip_a_byte(step: Path) -> None:
    """Damages the largest file of a checkpoint in the middle."""
    path = max((path for path in step.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
