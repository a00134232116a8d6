"""Generated tables inside Markdown files."""

from pathlib import Path

from fjdl.errors import UsageError

START, END = "<!-- generated: start -->", "<!-- generated: end -->"


def replace_table(path: Path, table: str) -> None:
    """Puts the table between the marker lines of a Markdown file; a missing file is made with the markers alone."""
    from fjdl.train.log import write_atomically

    text = path.read_text() if path.is_file() else f"{START}\n{END}\n"
    if START not in text or END not in text:
        raise UsageError(f"{path} must contain the lines {START} and {END}")
    before, after = text.partition(START)[0], text.partition(END)[2]
    write_atomically(path, f"{before}{START}\n\n{table}\n\n{END}{after}")
