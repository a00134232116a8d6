"""Pages of the library for Sphinx: one for each public room and module, with an entry for every public name.

A page groups what it lists by the file that defines it, under that file's first sentence. Of several names of one thing
the first with its own name has the entry, and the others refer to it.
"""

import importlib
import inspect
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from experiments.pages.public import public_names
from experiments.pages.site.docstrings import as_rst


class Entry(NamedTuple):
    """A public name, what it stands for, and the name whose entry describes that thing."""

    name: str
    thing: Any
    described: str


def pages() -> dict[str, str]:
    """The text of each page, by the dotted name of its room or module; `fjdl` is the page that leads to all others."""
    listed = entries()
    homes: dict[str, list[Entry]] = {}
    for entry in listed:
        if isinstance(entry.thing, ModuleType):
            homes.setdefault(entry.name, [])
        else:
            homes.setdefault(entry.name.rpartition(".")[0], []).append(entry)
    return {home: page(home, held, inner(home, homes)) for home, held in homes.items()}


def entries() -> list[Entry]:
    """All public names in order."""
    things = {name: thing(name) for name in public_names()}
    first: dict[int, str] = {}
    for name, value in sorted(things.items(), key=lambda item: _rank(*item)):
        if _has_identity(value):
            first.setdefault(id(value), name)
    return [Entry(name, value, first.get(id(value), name)) for name, value in things.items()]


def thing(name: str) -> Any:
    """What a public name stands for."""
    home, _, last = name.rpartition(".")
    return getattr(importlib.import_module(home), last)


def inner(home: str, homes: Iterable[str]) -> list[str]:
    """The pages right below a page: those that begin with its name and with no longer one."""
    below = [other for other in homes if other.startswith(f"{home}.")]
    return [other for other in below if not any(other.startswith(f"{between}.") for between in below)]


def page(home: str, held: Iterable[Entry], below: Iterable[str]) -> str:
    """The page of a room or module in reStructuredText."""
    module = importlib.import_module(home)
    about = as_rst(inspect.cleandoc(module.__doc__ or "").splitlines())
    lines = [home, "=" * len(home), "", f".. py:module:: {home}", "", *about, *_leading_to(below)]
    for file, group in by_file(held).items():
        lines += [*_heading(home, file), *(line for entry in group for line in directive(entry))]
    return "\n".join(lines) + "\n"


def by_file(held: Iterable[Entry]) -> Mapping[str, list[Entry]]:
    """Entries by the module that defines them, in the order of modules."""
    groups: dict[str, list[Entry]] = {}
    for entry in held:
        groups.setdefault(_file(entry), []).append(entry)
    return dict(sorted(groups.items()))


def directive(entry: Entry) -> list[str]:
    """What makes the entry of a name."""
    if entry.described != entry.name:
        return [*_data(entry.name), f"   The same as :py:obj:`{entry.described}`.", ""]
    if inspect.isclass(entry.thing) and _ours(entry.thing):
        return [f".. autoclass:: {entry.name}", "   :members:", "   :special-members: __call__", ""]
    if inspect.isfunction(entry.thing):
        return [f".. autofunction:: {entry.name}", ""]
    return [*_data(entry.name), *(f"   {line}" for line in _about_value(entry.thing)), ""]


def _data(name: str) -> list[str]:
    home, _, last = name.rpartition(".")
    return [f".. py:data:: {last}", f"   :module: {home}", ""]


def _rank(name: str, value: Any) -> tuple[bool, int, str]:
    return (getattr(value, "__name__", None) != name.rpartition(".")[2], name.count("."), name)


def _has_identity(value: Any) -> bool:
    return callable(value) and not isinstance(value, ModuleType)


def _ours(value: Any) -> bool:
    return (getattr(value, "__module__", None) or "").startswith("fjdl.")


def _file(entry: Entry) -> str:
    home = getattr(entry.thing, "__module__", None) or ""
    return home if home.startswith("fjdl.") else entry.name.rpartition(".")[0]


def _heading(home: str, file: str) -> list[str]:
    if file == home:
        return []
    title = file.removeprefix(f"{home}.")
    module = importlib.import_module(file)
    about = inspect.cleandoc(module.__doc__ or "").split("\n\n")[0]
    source = f"{file.replace('.', '/')}{'/__init__' if hasattr(module, '__path__') else ''}.py"
    return [title, "-" * len(title), "", *as_rst([*about.splitlines(), "", f"Defined in `{source}`."])]


def _leading_to(below: Iterable[str]) -> list[str]:
    names = list(below)
    return [".. toctree::", "   :maxdepth: 1", "", *(f"   {name}" for name in names), ""] if names else []


def _about_value(value: Any) -> list[str]:
    """What a value is where no docstring of its own says it."""
    if inspect.isclass(value):
        return [f"``{value.__module__}.{value.__qualname__}``"]
    shown = " ".join(repr(value).split())
    if len(shown) <= 200 and " at 0x" not in shown:
        return [f"``{shown}``"]
    return [f"One of :py:obj:`{type(value).__module__}.{type(value).__qualname__}`."]
