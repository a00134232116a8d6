"""What a definition of a test module reaches by name, so that a test can show what another test or a table covers.

Test modules are read, not imported: the answer is the same where an outside library is missing.
"""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tests.support import ROOT

OURS = ("fjdl", "experiments", "configs")
PROGRAM = re.compile(r"\b(fjdl|experiments)\b")  # in a string that another process runs or reads


class Definition(NamedTuple):
    """A name at the top level of a module of tests."""

    module: str  # dotted
    name: str


def reached(definitions: Iterable[Definition]) -> dict[int, Any]:
    """Every object of the library, by its identity, that the definitions name, or that what they name in tests does.

    A definition reaches what its decorators, defaults, fixtures and body name; `module.name` is the object that it
    leads to. A module of tests that is named as a value reaches all that it defines, a text for another process itself.
    """
    things = (thing for definition in definitions_behind(definitions) for thing in _named(definition)[0])
    return {id(thing): thing for thing in things}


def definitions_behind(definitions: Iterable[Definition]) -> set[Definition]:
    """The definitions themselves and all those of tests that they name, directly or through others."""
    seen: set[Definition] = set()
    waiting = [*definitions]
    while waiting:
        definition = waiting.pop()
        if definition not in seen:
            seen.add(definition)
            waiting += _named(definition)[1]
    return seen


def every_test(folder: Path = ROOT / "tests") -> list[Definition]:
    """The tests at the top level of every test module in a folder."""
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(folder.rglob("test_*.py"))]
    return [Definition(module, name) for module in modules for name in _statements(module) if name.startswith("test_")]


@cache
def _named(definition: Definition) -> tuple[list[Any], list[Definition]]:
    """Objects of the library, and definitions of tests, that the statements of a definition name."""
    things: list[Any] = []
    further: list[Definition] = []
    module = definition.module
    for node in [node for statement in _statements(module).get(definition.name, []) for node in ast.walk(statement)]:
        if isinstance(node, ast.arg):  # a fixture
            folders = module.split(".")[:-1]
            homes = {module, *(".".join([*folders[: n + 1], "conftest"]) for n in range(len(folders)))}
            further += [Definition(home, node.arg) for home in homes]
        elif isinstance(node, ast.Name | ast.Attribute):
            for found in _resolved(module, _parts(node)):
                (further if isinstance(found, Definition) else things).append(found)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and PROGRAM.search(node.value):
            things.append(node.value)
    return things, further


def _resolved(module: str, parts: list[str]) -> Iterator[Any]:
    """What a dotted name stands for, as far as modules lead: objects of the library or definitions of tests."""
    if not parts:
        return
    first, *rest = parts
    if first in _statements(module):
        yield Definition(module, first)
    for home in _imports(module).get(first, ()):
        yield from _at(home, rest)


def _at(home: str, rest: list[str]) -> Iterator[Any]:
    """The object at a dotted name and the attributes behind it, or the definitions of tests there."""
    if home.split(".")[0] in OURS:
        thing = _object(home)
        while rest and isinstance(thing, ModuleType) and hasattr(thing, rest[0]):
            thing, rest = getattr(thing, rest[0]), rest[1:]
        yield thing
    elif home.startswith("tests."):
        if not _file(home).exists():
            yield Definition(*home.rpartition(".")[::2])
        elif rest:
            yield from _at(f"{home}.{rest[0]}", rest[1:])
        else:
            yield from (Definition(home, name) for name in _statements(home))


def _object(name: str) -> Any:
    """The module, or what a module holds, at a dotted name; None for what is not there."""
    home, _, last = name.rpartition(".")
    if home and hasattr(importlib.import_module(home), last):
        return getattr(importlib.import_module(home), last)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def _parts(node: ast.AST) -> list[str]:
    """`a, b, c` of `a.b.c`; nothing for what starts with no name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [node.id, *parts] if isinstance(node, ast.Name) else []


@cache
def _statements(module: str) -> dict[str, list[ast.stmt]]:
    """The statements at the top level of a module by the names that they define or add to."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in _flat(_parsed(module).body):
        for name in _bound(statement):
            found.setdefault(name, []).append(statement)
    return found


def _flat(body: Iterable[ast.AST]) -> Iterator[ast.stmt]:
    """The statements, and those inside of `if`, `for`, `with` and `try`."""
    for node in body:
        if isinstance(node, ast.If | ast.For | ast.With | ast.Try):
            yield from _flat(ast.iter_child_nodes(node))
        if isinstance(node, ast.stmt):
            yield node


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a statement defines, or adds to as `ROWS["x"] = …`, `CASES += […]` and `CASES.append(…)` do."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign | ast.For):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets = [statement.value.func]
    else:
        targets = []
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


@cache
def _imports(module: str) -> dict[str, list[str]]:
    """Names that a module imports from the library and from tests, anywhere, and the dotted names they stand for."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(_parsed(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            pairs = [(alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name if alias.asname else alias.name.split(".")[0] for alias in node.names]
            pairs = [(alias.asname or name, name) for alias, name in zip(node.names, names, strict=True)]
        else:
            continue
        for name, home in pairs:
            found.setdefault(name, []).append(home)
    return found


@cache
def _parsed(module: str) -> ast.Module:
    path = _file(module)
    return ast.parse(path.read_text() if path.exists() else "")


def _file(module: str) -> Path:
    """The file of a module, which may be a package."""
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
