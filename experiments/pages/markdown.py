"""Generated tables inside Markdown files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fjdl.errors import UsageError


def table_line(cells: Iterable[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def table_head(titles: Sequence[str]) -> tuple[str, str]:
    """The two lines that a table begins with."""
    return table_line(titles), table_line("---" for _ in titles)


def replace_table(path: Path, table: str, *, section: str = "") -> None:
    """Puts the table between the marker lines of a Markdown file; a missing file is made with the markers alone.

    A file with several tables has one pair of markers for each, with the section's name.
    """
    from fjdl.files import write_atomically

    start, end = markers(section)
    require_markers(path, section=section)
    text = path.read_text() if path.is_file() else f"{start}\n{end}\n"
    before, _, rest = text.partition(start)
    after = rest.partition(end)[2]
    write_atomically(path, f"{before}{start}\n\n{table}\n\n{end}{after}")


def print_table(lines: Iterable[str], path: Path | None, *, section: str) -> None:
    """Prints a table line by line as it is made, and puts it into the file, whose markers are looked at first."""
    if path is not None:
        require_markers(path, section=section)
    printed = []
    for line in lines:
        print(line, flush=True)
        printed.append(line)
    if path is not None:
        replace_table(path, "\n".join(printed), section=section)


def require_markers(path: Path, *, section: str = "") -> None:
    """Refuses a file without the marker lines; called first, it does so before the work and not after it."""
    start, end = markers(section)
    if path.is_file() and not (start in (text := path.read_text()) and end in text):
        raise UsageError(f"{path} must contain the lines {start} and {end}")


def markers(section: str = "") -> tuple[str, str]:
    """The lines around a generated table."""
    name = f"generated {section}".strip()
    return f"<!-- {name}: start -->", f"<!-- {name}: end -->"
