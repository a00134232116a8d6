"""Generated tables inside Markdown files."""

from pathlib import Path

from fjdl.errors import UsageError


def replace_table(path: Path, table: str, *, section: str = "") -> None:
    """Puts the table between the marker lines of a Markdown file; a missing file is made with the markers alone.

    A file with several tables has one pair of markers for each, with the section's name.
    """
    from fjdl.train.log import write_atomically

    start, end = markers(section)
    text = path.read_text() if path.is_file() else f"{start}\n{end}\n"
    if start not in text or end not in text:
        raise UsageError(f"{path} must contain the lines {start} and {end}")
    before, _, rest = text.partition(start)
    after = rest.partition(end)[2]
    write_atomically(path, f"{before}{start}\n\n{table}\n\n{end}{after}")


def markers(section: str = "") -> tuple[str, str]:
    """The lines around a generated table."""
    name = f"generated {section}".strip()
    return f"<!-- {name}: start -->", f"<!-- {name}: end -->"
