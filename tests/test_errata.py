"""Every row of docs/errata.md names a test that exists."""

import re

from tests.support import ROOT

ROWS = [line for line in (ROOT / "docs" / "errata.md").read_text().splitlines() if line.startswith("| ")]
REFERENCES = [reference for row in ROWS for reference in re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)]


def test_every_row_names_a_test() -> None:
    headers = [row for row in ROWS if row == "| the notes say | correct | shown by |"]
    assert len(REFERENCES) == len(ROWS) - len(headers) > 40


def test_every_named_test_exists() -> None:
    missing = [f"{path}::{name}" for path, name in REFERENCES if f"def {name}(" not in (ROOT / path).read_text()]
    assert not missing
