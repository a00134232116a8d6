from pathlib import Path

from experiments.pages.dtypes import FORMATS, table
from tests.experiments.support import Command


def test_the_published_page_is_what_the_library_says(command: Command, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert command("pages.dtypes", "--write", page).status == 0
    assert table() in page.read_text()
    assert table() in Path("docs/dtypes.md").read_text()


def test_every_format_has_its_row() -> None:
    rows = table().splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(FORMATS)
    assert "| float16 | 16 | 1 + 5 + 10 | 3.31 | 65,504 | 2^-10 | 6.104e-05 | 6e-08 | ∞ | 22 GB |" in rows
    assert "| int4 | 4 | 1 + 3 | 0.9 | 7 | 1 | 1 | 1 | wraps around | 5.5 GB |" in rows
