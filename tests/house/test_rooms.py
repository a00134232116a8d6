"""The docstring of each room says what belongs there and what it may import, and shows lines that run.

The sentence `May import …` is read: names of rooms and of modules in backquotes, `floor 0`, `every floor below 5`,
`what `fjdl.x` may`, exceptions after `but`, and `Flax`. What it allows, the floors allow; and a room imports no more.
"""

import ast
import importlib
import re
from functools import cache
from pathlib import PurePosixPath

import pytest

from tests.house.test_examples import ROOMS, dotted, examples
from tests.house.test_floors import FLOORS, KNOW_FLAX, flax, floor, imports
from tests.support import ROOT

NAMES = [dotted(path) for path in ROOMS if dotted(path) != "fjdl"]
each_room = pytest.mark.parametrize("room", NAMES)


def said(room: str) -> str:
    """The sentence on imports in the docstring of a room, in one line."""
    text = " ".join((importlib.import_module(room).__doc__ or "").split(">>>")[0].split())
    found = re.findall(r"May import (.*?)\.(?= [A-Z]|$)", text)
    assert len(found) == 1, f"the docstring of {room} must say `May import …` once, got {found}"
    return found[0]


@cache
def allowed(room: str) -> frozenset[str]:
    """Dotted names that the docstring of a room allows, with all that they hold."""
    sentence, _, exceptions = said(room).partition(" but ")
    inherited = re.findall(r"what `(fjdl[\w.]*)` may", sentence)
    names = {*re.findall(r"`(fjdl[\w.]*)`(?! may)", sentence)}
    names |= {name for other in inherited for name in allowed(other)}
    limits = [float(number) for number in re.findall(r"every floor below (\d+)", sentence)]
    limits += [0.25] * ("floor 0" in sentence)
    names |= {f"fjdl.{name}" for name, height in FLOORS.items() if any(height < limit for limit in limits)}
    return frozenset(names - {*re.findall(r"`(fjdl[\w.]*)`", exceptions)})


def within(target: str, names: frozenset[str]) -> bool:
    return any(f"{target}.".startswith(f"{name}.") for name in names)


@each_room
def test_a_room_says_what_belongs_there_and_shows_it(room: str) -> None:
    path = ROOT / room.replace(".", "/") / "__init__.py"
    lines = [text.count(">>>") for name, _, text in examples(path) if name == room]
    assert lines, f"the docstring of {room} shows no example"
    assert 2 <= lines[0] <= 9
    assert (importlib.import_module(room).__doc__ or "").splitlines()[0].endswith(".")


@each_room
def test_what_a_room_says_it_may_import_the_floors_allow(room: str) -> None:
    home = room.split(".")[1]
    refused = [name for name in allowed(room) if not name.startswith(f"fjdl.{home}") and floor(name, home)]
    assert not refused, f"{room} must not say that it may import {refused}"
    assert ("Flax" in said(room)) == (home in KNOW_FLAX)


@each_room
def test_a_room_imports_what_its_docstring_says(room: str) -> None:
    missing = []
    for path in sorted((ROOT / room.replace(".", "/")).glob("*.py")):
        file = PurePosixPath(path.relative_to(ROOT).as_posix())
        for line, target in imports(ast.parse(path.read_text()), file):
            ours = target.startswith("fjdl.") and not target.startswith("fjdl.__")
            if ours and not within(target, allowed(room) | {room}):
                missing.append(f"{file}:{line}: {target}")
            assert flax(target, room.split(".")[1]) is None
    assert not missing, f"{room} says that it may import {said(room)}; it imports\n" + "\n".join(missing)
