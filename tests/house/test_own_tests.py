"""What a new function, data set or file needs besides its row: a test of its own, and a way for users to reach it."""

import ast
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from fjdl.data.source import Splits
from fjdl.data.text import TextSplits
from fjdl.data.vision import CocoSplits
from tests.cases import CASES
from tests.cases.case import Case
from tests.house.reach import Definition, definitions_behind, every_test, reached
from tests.house.test_completeness import EVERYTHING, none_of
from tests.house.test_layout import SOURCES, modules, name_of

TABLE = Definition("tests.cases", "CASES")


def named_by(case: Case) -> Iterator[Any]:
    """The functions of the library that a row calls; a function of the table's own may call several."""
    function: Any = case.function
    while isinstance(function, partial):
        function = function.func
    yield function
    if function.__module__.startswith("tests."):
        yield from reached([Definition(function.__module__, function.__name__)]).values()
        yield from (cell.cell_contents for cell in function.__closure__ or ())


@cache
def shown_by_rows() -> set[int]:
    """What a row compares with an outside implementation or with stated values."""
    return {id(thing) for case in CASES if case.oracle or case.edges for thing in named_by(case)}


@cache
def shown_by_tests() -> set[int]:
    """What tests reach that do not go through the table of all rows."""
    tests = [test for test in every_test() if not test.module.startswith("tests.house")]
    return set(reached([test for test in tests if TABLE not in definitions_behind([test])]))


def test_everything_public_has_a_test_of_its_own_or_a_row_with_an_oracle() -> None:
    none_of(name for name, v in EVERYTHING.items() if id(v) not in shown_by_tests() | shown_by_rows())


def data_sets() -> dict[str, Callable[..., Any]]:
    """Functions of `fjdl.data` that return splits."""
    homes = [importlib.import_module(name) for name in modules() if name.startswith("fjdl.data.")]
    return {
        f"{home.__name__}.{name}": value
        for home in homes
        for name, value in vars(home).items()
        if inspect.isfunction(value) and value.__module__ == home.__name__ and not name.startswith("_")
        and inspect.signature(value).return_annotation in (Splits, TextSplits, CocoSplits)
    }  # fmt: skip


def test_every_data_set_has_a_test_of_its_own() -> None:
    assert {"fjdl.data.mnist.mnist", "fjdl.data.embedded.digits", "fjdl.data.sentences.sst2"} <= data_sets().keys()
    none_of(f"{name} has no test" for name, value in data_sets().items() if id(value) not in shown_by_tests())


def test_every_public_definition_of_the_library_is_exported_or_used() -> None:
    """So that an export that was forgotten is noticed, and what is dead is deleted."""
    words = {path: re.findall(r"[A-Za-z_]\w*", path.read_text()) for path in SOURCES if "tests/" not in name_of(path)}
    count = Counter(word for found in words.values() for word in found)
    exported = {name.rpartition(".")[2] for name in EVERYTHING}
    none_of(
        f"{name_of(path)}: {name} is neither exported by its room nor used"
        for path in words
        if name_of(path).startswith("fjdl/")
        for name in defined(path.read_text())
        if count[name] == 1 and name not in exported
    )


def defined(source: str) -> list[str]:
    """Public functions and classes at the top level of a module."""
    body = ast.parse(source).body
    return [n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]
