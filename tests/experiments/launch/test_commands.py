"""The commands of each control plane, beside those recorded in `golden/`, and quoting beside a real shell."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.launch.commands import Command, text, wrapped
from experiments.launch.planes import life
from tests.experiments.launch.jobs import COMMIT, GOLDEN, JOBS, recorded

ODD = ("a b", "it's", '"x"', "$HOME", "`id`", "a\\b", "*", "", "ü", "a\nb", "--x=y z", ";", "&&", "!", "~", "#no")


@pytest.mark.parametrize("name", JOBS)
def test_commands_are_the_recorded_ones(name: str) -> None:
    assert recorded(name) == (GOLDEN / f"{name}.sh").read_text(), "python -m tests.experiments.launch.jobs records anew"


def test_each_recorded_file_has_a_job() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(JOBS)


def test_a_shell_reads_the_words_that_would_run() -> None:
    words = ("word", *ODD, *(f"--flag={word}" for word in ODD))
    show = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join(show)} {wrapped(words, width=30)}"], capture_output=True, text=True, check=True
    )
    assert tuple(json.loads(done.stdout)) == words


def test_a_pipe_is_shown_as_one() -> None:
    command = Command(words=("printf", "b\na\n"), into=(("sort",), ("head", "-n", "1")), why="shows the first")
    assert subprocess.run(["bash", "-c", text(command)], capture_output=True, text=True, check=True).stdout == "a\n"


@pytest.mark.parametrize("name", JOBS)
def test_all_that_is_made_is_deleted(name: str) -> None:
    """What undoes a command stands among the commands of `delete`, which end with a look at what is left."""
    launch = dict(life(JOBS[name], COMMIT))
    deleted = [command.words for command in launch["delete"]]
    made = [command for commands in launch.values() for command in commands if command.makes]
    assert made
    assert all(command.undo in deleted for command in made)
    assert launch["delete"][-1].prints == ""
    assert all(command.why for commands in launch.values() for command in commands)


def test_odd_arguments_reach_the_training(tmp_path: Path) -> None:
    """The script for machines, read by a shell, starts the training with the very words of the command line."""
    start = dict(life(JOBS["group"], COMMIT))["run"][-1]
    script = next(word for word in start.into[-1] if word.startswith("--command=")).removeprefix("--command=")
    line = next(line for line in script.splitlines() if line.startswith("nohup"))
    words = shlex.split(line.partition(" >> ")[0])
    assert tuple(words[-2:]) == JOBS["group"].arguments
