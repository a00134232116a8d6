"""Files of labelled texts, of tables and of translations, each fault with the number of its line."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fjdl.data.text.lines import iterate_lines, read_lines
from fjdl.errors import DataError


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
    `classes` are those that the file has, sorted, by default. Raises `DataError` with the line's number for a line
    without a label or without a text, a class that is not among `classes`, a file without a line, and what `read_lines`
    refuses.
    """
    pairs = [_labelled(path, number, line) for number, line in enumerate(read_lines(path, encoding=encoding), 1)]
    if not pairs:
        raise DataError(f"{path}, line 1: a line must hold a label and a text, got an empty file")
    found = [label(name) for name, _ in pairs]
    known = tuple(sorted({*found}) if classes is None else classes)
    return Labelled([text for _, text in pairs], _numbers(path, found, known), known)


def _labelled(path: Path | str, number: int, line: str) -> tuple[str, str]:
    name, _, text = line.replace("\t", " ", 1).partition(" ") if "\t" in line.split(" ", 1)[0] else line.partition(" ")
    if not name or not text.strip():
        raise DataError(f"{path}, line {number}: a line must hold a label, a space and a text, got {_short(line)}")
    return name, text


def _numbers(path: Path | str, found: Sequence[str], classes: tuple[str, ...]) -> np.ndarray:
    places = {name: place for place, name in enumerate(classes)}
    for number, name in enumerate(found, 1):
        if name not in places:
            listed = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
            raise DataError(f"{path}, line {number}: the label must be one of {listed}, got {_short(name)}")
    return np.array([places[name] for name in found], np.int32)


def read_csv(
    path: Path | str,
    *,
    columns: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> dict[str, list[str]]:
    """The columns of a file of comma-separated values by their names, `.gz` or not.

    The first line names the columns, or `names` do for a file without such a line. Only `columns` are kept where they
    are given. Fields may be in double quotes, in which a quote is doubled and newlines may stand (RFC 4180). Raises
    `DataError` with the line's number for a row with another number of fields, an open quote and what `read_lines`
    refuses, and for a column that is not there or is named twice.
    """
    return _table(path, _quoted(path, encoding), columns, names)


def read_tsv(
    path: Path | str,
    *,
    columns: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> dict[str, list[str]]:
    """As `read_csv` for fields with tabs between them, in which quotes are signs like others."""
    rows = ((number, line.split("\t")) for number, line in enumerate(iterate_lines(path, encoding=encoding), 1))
    return _table(path, rows, columns, names)


def _quoted(path: Path | str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for line in iterate_lines(path, encoding=encoding)), strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: the row must be comma-separated, got {error}") from None


def _table(
    path: Path | str,
    rows: Iterator[tuple[int, list[str]]],
    columns: Sequence[str] | None,
    names: Sequence[str] | None,
) -> dict[str, list[str]]:
    header = list(names) if names is not None else next(rows, (1, []))[1]
    if len({*header}) != len(header) or not header:
        raise DataError(f"{path}, line 1: the columns must have names of their own, got {header}")
    places = {name: header.index(name) for name in columns or header if name in header}
    if missing := [name for name in columns or () if name not in places]:
        raise DataError(f"{path}, line 1: the table must have a column {missing[0]!r}, got {', '.join(header)}")
    table: dict[str, list[str]] = {name: [] for name in places}
    for number, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}, line {number}: a row must have {len(header)} fields, got {len(row)}")
        for name, place in places.items():
            table[name].append(row[place])
    return table


def read_parallel(paths: Mapping[str, Path | str], *, encoding: str = "utf-8") -> dict[str, list[str]]:
    """The lines of files of which line `i` of each says the same, by the names of their languages, `.gz` or not.

    Raises `DataError` with the number of the first line that has no partner, and for what `read_lines` refuses.
    """
    texts = {name: read_lines(path, encoding=encoding) for name, path in paths.items()}
    shortest = min(texts, key=lambda name: len(texts[name]), default="")
    for name, lines in texts.items():
        if len(lines) != len(texts[shortest]):
            raise DataError(
                f"{paths[name]}, line {len(texts[shortest]) + 1}: a line must have its partner in {paths[shortest]}, "
                f"got {len(lines)} lines and {len(texts[shortest])}"
            )
    return texts


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
