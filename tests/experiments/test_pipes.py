"""A reader of a command's output who leaves, as `head` does, ends the command without a word."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

COMMANDS = [path for path in sorted((ROOT / "experiments").rglob("*.py")) if '"__main__"' in path.read_text()]
PRINTING = """
import sys
from experiments.command import run_guarded
from fjdl.errors import DataError
def main():
    {body}
run_guarded(main)
"""
BODIES = {
    "a few words that are printed at the end": ("print('word')", 141, ""),
    "more than a pipe holds": ("[print('word' * 1000) for _ in range(1000)]", 141, ""),
    "each line at once": ("[print('word', flush=True) for _ in range(10)]", 141, ""),
    "nothing": ("pass", 0, ""),
    "a status": ("print('word'); sys.exit(3)", 3, ""),
    "an error": ("print('word'); raise DataError('row 3 is wrong')", 3, "fjdl: row 3 is wrong\n"),
}


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_every_command_runs_guarded(path: Path) -> None:
    *_, last = ast.parse(path.read_text()).body
    assert ast.unparse(last) == "if __name__ == '__main__':\n    run_guarded(main)"


def test_there_are_commands() -> None:
    assert {"train", "evaluate", "plot", "quantize", "report"} <= {path.stem for path in COMMANDS}


def without_reader(*words: object) -> tuple[int, str]:
    """Status and errors of a program whose output nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, *map(str, words)]
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with os.fdopen(writing, "w") as out:
        done = subprocess.run(
            command, stdout=out, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=usual, check=False, timeout=100
        )
    return done.returncode, done.stderr


@pytest.mark.parametrize("case", BODIES)
def test_the_status_is_that_of_a_broken_pipe_unless_there_is_another(case: str) -> None:
    body, status, error = BODIES[case]
    assert without_reader("-c", PRINTING.format(body=body)) == (status, error)


def test_a_command_ends_quietly() -> None:
    assert without_reader("-m", "experiments.evaluate", "--help") == (141, "")


def test_another_broken_pipe_is_a_bug() -> None:
    body = "import os; r, w = os.pipe(); os.close(r); os.write(w, b'x')"
    done = subprocess.run(
        [sys.executable, "-c", PRINTING.format(body=body)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "BrokenPipeError: [Errno 32] Broken pipe")
