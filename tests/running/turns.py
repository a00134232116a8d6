"""By day each pin of pyproject.toml runs half of a test's parameter sets. The other pin and the night run the rest."""

import inspect
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import pytest

from tests.running.absent import Absent, Deferred

TURN = 0 if version("jax").startswith("0.10.") else 1  # of the installed pin; PyTorch is tried with the first alone
CHEAP = ("tests/house/", "tests/test_")  # rules of names and signatures, which look at everything in a few seconds
DEAR = ("tests/house/test_examples", "tests/house/test_configs")


def leave_to_others(items: Sequence[pytest.Item], turn: int = TURN) -> None:
    """Marks as slow what has its turn on the other pin."""
    for item in items:
        mark = item.get_closest_marker("by_day_on_pin")
        if mark is not None and mark.args != (turn,):
            item.add_marker("slow")
    for sets in _tests(items):
        for item in halves(sets)[1 - turn]:
            item.add_marker("slow")


def _tests(items: Sequence[pytest.Item]) -> Iterator[list[pytest.Item]]:
    """The sets of each test that runs by day, takes several of them, and has no pin of its own."""
    tests = defaultdict(list)
    for item in items:
        name, several, _ = item.nodeid.partition("[")
        cheap = name.startswith(CHEAP) and not name.startswith(DEAR)
        if several and not cheap and not any(map(item.get_closest_marker, ("slow", "by_day_on_pin"))):
            tests[name].append(item)
    return (sets for sets in tests.values() if len(sets) > 1)


def halves(sets: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Those of the first pin, and of the second; what needs PyTorch is the first's.

    The order has nothing to do with what the sets are, so neither half is all of one dtype, and is the same for all
    tests of a row, which share its programs.
    """
    placed = sorted(sets, key=lambda item: (not _needs_torch(item), *_place(item)))
    first = max(sum(map(_needs_torch, placed)), (len(placed) + 1) // 2)
    return placed[:first], placed[first:]


def _place(item: Any) -> tuple[int, int]:
    row = next((value.name for value in item.callspec.params.values() if hasattr(value, "oracle")), item.callspec.id)
    return zlib.crc32(str(row).encode()), zlib.crc32(item.nodeid.encode())


def _needs_torch(item: Any) -> bool:
    values = item.callspec.params.values()
    return any(map(reaches_torch, (item.function, *values, *(getattr(value, "oracle", None) for value in values))))


def reaches_torch(value: Any) -> bool:
    """Whether a function of the tests names PyTorch, or calls another one that does."""
    seen: list[Any] = []
    todo = [value]
    while todo:
        function = todo.pop()
        if _is_of_torch(function):
            return True
        if inspect.isfunction(function) and function.__module__.startswith("tests.") and function not in seen:
            seen.append(function)
            todo += _named(function)
        elif isinstance(function, partial):
            todo += [function.func, *function.args]
    return False


@cache
def _named(function: Any) -> list[Any]:
    """What a function's text, and the functions inside of it, name: globals, imports, what it closes over."""
    codes = [function.__code__, *filter(inspect.iscode, function.__code__.co_consts)]
    names = [name for code in codes for name in code.co_names]
    inside = [cell.cell_contents for cell in function.__closure__ or ()]
    wrapped = [inspect.unwrap(function)] if hasattr(function, "__wrapped__") else []
    return [*names, *(function.__globals__.get(name) for name in names), *inside, *wrapped]


def _is_of_torch(value: Any) -> bool:
    if isinstance(value, Absent | Deferred):
        return True
    text = value if isinstance(value, str) else getattr(value, "__module__", None) or getattr(value, "__name__", "")
    return isinstance(text, str) and text.partition(".")[0] == "torch"
