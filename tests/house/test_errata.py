"""Every row of docs/errata.md has a number and names a test that exists."""

import re

from tests.support import ROOT

ROWS = [line for line in (ROOT / "docs" / "errata.md").read_text().splitlines() if line.startswith("| ")]
REFERENCES = [reference for row in ROWS for reference in re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)]


def test_every_row_names_a_test() -> None:
    headers = [row for row in ROWS if row == "| | the notes say | correct | shown by |"]
    assert len(REFERENCES) == len(ROWS) - len(headers) > 40


def test_every_named_test_exists() -> None:
    missing = [f"{path}::{name}" for path, name in REFERENCES if f"def {name}(" not in (ROOT / path).read_text()]
    assert not missing


def test_every_row_begins_with_the_number_that_the_name_of_its_test_has() -> None:
    for row in ROWS:
        number, _, rest = row.removeprefix("| ").partition("| ")
        if row.startswith("| | "):
            continue
        assert re.fullmatch(r"E\d+(, E\d+)* ", number), row
        given = {int(digits) for digits in re.findall(r"\d+", number)}
        named = {int(digits) for digits in re.findall(r"(?<=_)e(\d+)(?=_)", rest.rpartition("::")[2])}
        assert not named or named & given or "E106" in number, row  # that one is shown by the test of E52
