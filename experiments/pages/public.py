"""What is public in the library: its rooms, their entries, and every dotted name."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import fjdl


def rooms() -> list[ModuleType]:
    """The packages and modules below `fjdl` that say what is public in them, without inner rooms of files alone."""
    found = pkgutil.walk_packages(fjdl.__path__, "fjdl.")
    packages = [importlib.import_module(entry.name) for entry in found if entry.ispkg]
    listed = [package for package in packages if "__dir__" in vars(package)]
    opened = [entry for room in listed if room.__name__.count(".") == 1 for entry in entries(room).values()]
    modules = [entry for entry in opened if isinstance(entry, ModuleType) and "__dir__" in vars(entry)]
    return [room for room in [*listed, *modules] if room.__name__.count(".") == 1 or not only_files(room)]


def entries(room: ModuleType) -> dict[str, Any]:
    """What a room lists, by name."""
    return {name: getattr(room, name) for name in dir(room)}


def only_files(room: ModuleType) -> bool:
    """Whether all that a room lists are modules."""
    return all(isinstance(entry, ModuleType) for entry in entries(room).values())


def public_names() -> list[str]:
    """Rooms, their entries, and what modules define that are entries of a room or stand right below `fjdl`."""
    return sorted({*(f"fjdl.{name}" for name in dir(fjdl)), *_of_rooms(), *_of_modules()})


def _of_rooms() -> Iterator[str]:
    for room in rooms():
        yield from (f"{room.__name__}.{name}" for name in dir(room))


def _of_modules() -> Iterator[str]:
    below = [getattr(fjdl, name) for name in dir(fjdl)]
    for entry in [*below, *(entry for room in rooms() for entry in entries(room).values())]:
        if isinstance(entry, ModuleType) and not hasattr(entry, "__path__"):
            yield from (f"{entry.__name__}.{name}" for name in _defined(entry))


def _defined(module: ModuleType) -> list[str]:
    """The public names that a module defines itself, and those that it gathers if it is the one of types."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    gathers = module.__name__ == "fjdl.typing"
    mine = [name for name, value in vars(module).items() if gathers or _home(value) == module.__name__]
    return [name for name in mine if not name.startswith("_") and not isinstance(getattr(module, name), ModuleType)]


def _home(value: Any) -> str | None:
    return getattr(value, "__module__", None)
