"""Numbers in names of tests have their rows: W in docs/worked_numbers.md, R and S in docs/faults.md."""

import re
from functools import cache

import pytest

from tests.house.reach import every_test
from tests.support import ROOT

PAGES = {"w": "worked_numbers.md", "r": "faults.md", "s": "faults.md"}
HEADERS = (
    "| | what is computed | value | shown by |",
    "| | fault | here | shown by |",
    "| | promise | how far | shown by |",
)


@cache
def rows(letter: str) -> dict[int, str]:
    """The rows of the page of a letter by their numbers."""
    lines = (ROOT / "docs" / PAGES[letter]).read_text().splitlines()
    found = [re.match(rf"\| {letter.upper()}(\d+) \| [^|]+ \| [^|]+ \| [^|]+ \|$", line) for line in lines]
    return {int(match[1]): match[0] for match in found if match}


def numbered(letter: str) -> dict[str, list[int]]:
    """The tests with a number of this letter at the beginning of their names, as `path::name`, and their numbers."""
    found = {}
    for module, name in every_test():
        start = re.match(r"test_((?:[wers]\d+_)+)", name)
        numbers = [int(digits) for digits in re.findall(rf"{letter}(\d+)", start[1] if start else "")]
        if numbers:
            found[f"{module.replace('.', '/')}.py::{name}"] = numbers
    return found


@pytest.mark.parametrize("letter", PAGES)
def test_every_number_in_the_name_of_a_test_has_a_row_that_names_the_test(letter: str) -> None:
    missing = [
        f"docs/{PAGES[letter]}: the row {letter.upper()}{number} must name `{test}`"
        for test, numbers in numbered(letter).items()
        for number in numbers
        if f"`{test}`" not in rows(letter).get(number, "")
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("letter", PAGES)
def test_every_row_names_tests_that_exist_and_carry_its_number(letter: str) -> None:
    known = numbered(letter)
    for number, row in rows(letter).items():
        named = re.findall(r"`(tests/[^`]+)`", row)
        assert named, row
        assert [test for test in named if number not in known.get(test, [])] == []


@pytest.mark.parametrize("page", sorted(set(PAGES.values())))
def test_a_page_has_no_row_that_is_not_read(page: str) -> None:
    lines = [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("| ")]
    read = sum(len(rows(letter)) for letter, name in PAGES.items() if name == page)
    assert len([line for line in lines if line not in HEADERS]) == read > 50


def test_worked_numbers_are_complete() -> None:
    assert list(rows("w")) == list(range(1, 54))
