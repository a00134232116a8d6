"""The page on TPUs: every command of fjdl on it is one that the command accepts, and what it names exists."""

import importlib
import re
import shlex
import sys
from typing import Any

import pytest
import tyro

from experiments.launch import verbs
from tests.experiments.launch.jobs import JOBS
from tests.support import ROOT

TEXT = (ROOT / "TPU_SETUP.md").read_text()
LINE = re.compile(r"python -m (experiments[\w.]+)([^\n|&;`#]*)")
COMMANDS = sorted({(name, " ".join(rest.replace("2>", "").split())) for name, rest in LINE.findall(TEXT)})


class AcceptedError(Exception):
    """The arguments were parsed."""


@pytest.mark.parametrize(("name", "arguments"), COMMANDS, ids=[" ".join(command) for command in COMMANDS])
def test_a_command_of_the_page_is_accepted(name: str, arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = tyro.cli

    def parsed(*args: Any, **options: Any) -> Any:
        parse(*args, **options)
        raise AcceptedError

    words = shlex.split(arguments)
    if words[:1] == ["check"]:  # it starts this one, with the same words
        words.pop(0)
        name = "experiments.compiled.child"
    monkeypatch.setattr(verbs, "load", lambda path: JOBS["tpu_vm_spot"])
    monkeypatch.setattr(tyro, "cli", parsed)
    monkeypatch.setattr(sys, "argv", [name, *words])
    with pytest.raises(AcceptedError):
        importlib.import_module(name).main()


def test_the_page_has_the_commands_that_a_rental_needs() -> None:
    assert {name for name, _ in COMMANDS} == {f"experiments.{name}" for name in ("train", "tpu", "doctor", "loading")}
    assert {arguments.split()[0] for name, arguments in COMMANDS if name == "experiments.tpu"} == {
        "check",
        *verbs.VERBS,
    }
    flags = " ".join(arguments for _, arguments in COMMANDS)
    for flag in ("--dry-run", "--sweep-batch", "--against flax", "--profile", "--try-workers", "--precision bfloat16"):
        assert flag in flags


def test_files_that_the_page_names_exist() -> None:
    named = re.findall(r"\]\(([\w/.]+)\)", TEXT) + re.findall(r"configs/\w+\.py", TEXT)
    assert len(named) >= 8
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_sections_that_the_page_refers_to_exist() -> None:
    sections = {int(number) for number in re.findall(r"^## (\d+)\.", TEXT, flags=re.MULTILINE)}
    assert sections == set(range(14))
    referred = {int(number) for number in re.findall(r"[Ss]ections? (\d+)", TEXT)}
    assert referred <= sections


def test_the_page_says_what_was_not_run() -> None:
    assert "Nothing on this page was run on TPU hardware." in TEXT
