"""Files of labelled texts, of tables and of translations, each fault with the number of its line."""

import csv
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fjdl.calls import received
from fjdl.data.text.given import names as names_of
from fjdl.data.text.lines import LONGEST, iterate_lines, read_lines
from fjdl.errors import DataFormatError

_LIMIT = threading.RLock()  # held while the csv module's limit, of which a process has one, is ours


class Labelled(NamedTuple):
    """Texts with a class each."""

    texts: list[str]
    labels: np.ndarray  # int32 [n], places in `classes`
    classes: tuple[str, ...]


def read_labelled_lines(
    path: Path | str,
    *,
    classes: Sequence[str] | None = None,
    encoding: str = "utf-8",
    label: Callable[[str], str] = str,
) -> Labelled:
    """The texts and classes of a file of `label text` lines, `.gz` or not.

    The label ends at the first space or tab, and `label` makes the class of it, such as a coarse one of a fine one.
    `classes` are those that the file has, sorted, by default. Blank lines are left out. Raises `DataError` with the
    line's number for a line without a label or without a text, a class that is not among `classes`, a file without a
    line, and what `read_lines` refuses; and `ValueError` for `classes` that repeat.
    """
    given = names_of("classes", classes)
    lines = enumerate(iterate_lines(path, encoding=encoding), 1)
    kept = {number: _labelled(path, number, line) for number, line in lines if line.strip()}
    if not kept:
        raise DataFormatError(path, "line 1", "a line", "hold a label and a text", "an empty file")
    found = {number: label(name) for number, (name, _) in kept.items()}
    known = tuple(sorted({*found.values()})) if given is None else given
    return Labelled([text for _, text in kept.values()], _numbers(path, found, known), known)


def _labelled(path: Path | str, number: int, line: str) -> tuple[str, str]:
    name, _, text = line.replace("\t", " ", 1).partition(" ") if "\t" in line.split(" ", 1)[0] else line.partition(" ")
    if not name or not text.strip():
        raise DataFormatError(path, f"line {number}", "a line", "hold a label, a space and a text", f"{_short(line)}")
    return name, text


def _numbers(path: Path | str, found: Mapping[int, str], classes: tuple[str, ...]) -> np.ndarray:
    places = {name: place for place, name in enumerate(classes)}
    for number, name in found.items():
        if name not in places:
            listed = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
            raise DataFormatError(path, f"line {number}", "the label", f"be one of {listed}", f"{_short(name)}")
    return np.array([places[name] for name in found.values()], np.int32)


def read_csv(
    path: Path | str,
    *,
    columns: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> dict[str, list[str]]:
    """The columns of a file of comma-separated values by their names, `.gz` or not.

    The first line names the columns, or `names` do for a file without such a line. Only `columns` are kept where they
    are given. Fields may be in double quotes, in which a quote is doubled and newlines may stand (RFC 4180). Blank
    lines are left out. Raises `DataError` with the line's number for a row with another number of fields, an open quote
    and what `read_lines` refuses, and for a column that is not there or is named twice and a file without a row; and
    `ValueError` for `columns` and `names` that are empty, repeat or do not fit.
    """
    return read_fields(path, columns=columns, names=names, encoding=encoding).columns


def read_tsv(
    path: Path | str,
    *,
    columns: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> dict[str, list[str]]:
    """As `read_csv` for fields with tabs between them, in which quotes are signs like others.

    In a table of one column a blank line is a row, whose field is empty.
    """
    return read_fields(path, separator="\t", columns=columns, names=names, encoding=encoding).columns


class Fields(NamedTuple):
    """The fields of a table by its columns, and the line of the file at which each row ends."""

    columns: dict[str, list[str]]
    lines: list[int]


def read_fields(
    path: Path | str,
    *,
    separator: str = ",",
    columns: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    encoding: str = "utf-8",
    fault: Callable[[str], None] | None = None,
) -> Fields:
    """What `read_csv` reads, or `read_tsv` where the separator is a tab, with the lines that rows stand in.

    `fault` is called with a sentence for each row with another number of fields, which is then left out. Raises
    `ValueError` for a separator that is not one character, and otherwise what `read_csv` does.
    """
    if len(separator) != 1 or separator in '"\r\n':
        raise ValueError(f"separator must be one character, no quote and no end of a line, got {separator!r}")
    header = _given(columns, names)
    if separator == "\t":
        lines = enumerate(iterate_lines(path, encoding=encoding), 1)
        return _table(
            path, ((number, line.split("\t") if line else []) for number, line in lines), columns, header, fault
        )
    with _long_fields():
        return _table(path, _quoted(path, encoding, separator), columns, header, fault)


def _given(columns: Sequence[str] | None, names: Sequence[str] | None) -> list[str] | None:
    """The names of all columns where they are given."""
    kept, known = names_of("columns", columns), names_of("names", names)
    for option, listed in (("columns", kept), ("names", known)):
        if listed is not None and not listed:
            raise ValueError(f"{option} must not be empty, got []")
    if known is None:
        return None
    if missing := [name for name in kept or () if name not in known]:
        raise ValueError(f"columns must be among names, {', '.join(known)}, got {missing[0]!r}")
    return list(known)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Inside, a field of the csv module may be as long as a line."""
    with _LIMIT:
        before = csv.field_size_limit()
        csv.field_size_limit(max(before, LONGEST))
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _quoted(path: Path | str, encoding: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(
        (f"{line}\n" for line in iterate_lines(path, encoding=encoding)), delimiter=separator, strict=True
    )
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        rule = f"a field must have at most {LONGEST} characters, got more"
        if "field limit" not in str(error):
            rule = f"the row must be {'comma' if separator == ',' else repr(separator)}-separated, got {error}"
        raise DataFormatError.told(f"{path}, line {reader.line_num}: {rule}") from None


def _table(
    path: Path | str,
    rows: Iterator[tuple[int, list[str]]],
    columns: Sequence[str] | None,
    header: list[str] | None,
    fault: Callable[[str], None] | None,
) -> Fields:
    number = 0
    if header is None:
        number, header = next(((number, row) for number, row in rows if row), (1, []))
        if not header:
            raise DataFormatError(path, "line 1", "the line", "name the columns", "an empty file")
    if len({*header}) != len(header):
        raise DataFormatError(path, "line 1", "the columns", "have names of their own", f"{header}")
    places = {name: header.index(name) for name in columns or header if name in header}
    if missing := [name for name in columns or () if name not in places]:
        raise DataFormatError(path, "line 1", "the table", f"have a column {missing[0]!r}", f"{', '.join(header)}")
    table: dict[str, list[str]] = {name: [] for name in places}
    lines: list[int] = []
    for number, row in rows:
        if not row and len(header) > 1:
            continue
        row = row or [""]
        if len(row) != len(header):
            sentence = f"{path}, line {number}: a row must have {len(header)} fields, got {len(row)}"
            if fault is None:
                raise DataFormatError.told(sentence)
            fault(sentence)
            continue
        lines.append(number)
        for name, place in places.items():
            table[name].append(row[place])
    if not lines:
        got = "the end of the file" if number else "an empty file"
        raise DataFormatError(path, f"line {number + 1}", "the table", "have a row", f"{got}")
    return Fields(table, lines)


def read_parallel(paths: Mapping[str, Path | str], *, encoding: str = "utf-8") -> dict[str, list[str]]:
    """The lines of files of which line `i` of each says the same, by the names of their languages, `.gz` or not.

    Raises `DataError` with the number of the first line that has no partner, for empty files and for what `read_lines`
    refuses, and `ValueError` where the paths have no names.
    """
    if not isinstance(paths, Mapping):
        raise ValueError(f"paths must give a path for each name, as {{'en': path}}, got {received(paths)}")
    texts = {name: read_lines(path, encoding=encoding) for name, path in paths.items()}
    shortest = min(texts, key=lambda name: len(texts[name]), default="")
    for name, lines in texts.items():
        if len(lines) != len(texts[shortest]):
            raise DataFormatError(
                paths[name],
                f"line {len(texts[shortest]) + 1}",
                "a line",
                f"have its partner in {paths[shortest]}",
                f"{len(lines)} lines and {len(texts[shortest])}",
            )
        if not lines:
            raise DataFormatError(paths[name], "line 1", "a file", "hold a line", "an empty file")
    return texts


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
