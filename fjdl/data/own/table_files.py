"""Where tables come from: files of text, of Parquet, and frames in memory, with the place of each row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fjdl.calls import nearest
from fjdl.data.faults import Faults, leaves_out
from fjdl.data.own.columns import Columns, Kind, Reading, names_of, of_frame, of_texts
from fjdl.data.own.parquet_files import read_parquet
from fjdl.data.text.formats import read_fields
from fjdl.errors import DataFormatError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Format:
    """How the text of a table is read."""

    missing: tuple[str, ...]
    separator: str | None = None  # None where the name of the file says it
    header: tuple[str, ...] | None = None  # names of the columns where no row has them
    encoding: str = "utf-8"


class Rows(NamedTuple):
    """The rows of a table that can be read, and a sentence for each other one."""

    columns: Columns
    numbers: np.ndarray  # of the rows among all, from 0
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of which only the names of its columns are known so far."""

    home: str
    names: list[str]
    convert: Callable[[Sequence[str], Mapping[str, Kind], Faults], Columns]  # of names, kinds and faults
    faults: Faults

    def column(self, name: str | int) -> str:
        """The name of a column that is given by its name or its place; raises `DataError` where there is none."""
        if isinstance(name, str):
            if name not in self.names:
                near = nearest(name, self.names)
                hint = f"; did you mean {near!r}?" if near else ""
                raise DataFormatError(
                    self.home, None, "the table", f"have a column {name!r}", f"{self._listed()}{hint}"
                )
            return name
        if not -len(self.names) <= name < len(self.names):
            raise DataFormatError(self.home, None, "the table", f"have a column number {name}", f"{self._listed()}")
        return self.names[name]

    def rows(self, names: Sequence[str], kinds: Mapping[str, Kind], *, rules: Mapping[str, str] | None = None) -> Rows:
        """The rows with these columns; a missing field in a column that has one of the `rules` is a fault of its row.

        Raises `DataError` for the first fault, or inside of `bad_left_out` where no row is without one.
        """
        for name in names:
            self.column(name)
        columns = self.convert(names, kinds, self.faults)
        for name, rule in (rules or {}).items():
            for number in np.flatnonzero(columns.gone(name)):
                self.faults.row(int(number), f"{columns.place(int(number), name)}: {rule}")
        return kept(columns, self.faults)

    def _listed(self) -> str:
        return ", ".join(self.names[:20]) + (", …" if len(self.names) > 20 else "")


def kept(columns: Columns, faults: Faults) -> Rows:
    """The rows without a fault; raises `DataError` where there is none."""
    good = faults.good(columns.length)
    told = faults.told()
    if not good.size:
        raise DataFormatError(columns.home, None, "a row", "be readable", f"none: {told[0]}")
    return Rows(columns.rows(good) if faults.rows else columns, good, told)


def opened(data: Any, form: Format) -> Table:
    """The table of a path or of a frame; raises `DataError` for a file of another kind and for what is wrong in it."""
    faults = Faults(keep=leaves_out())
    if not isinstance(data, str | Path):
        return _frame("the table", data, lambda number: f"row {number}", form, faults)
    path = Path(data)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() in PARQUET:
        return _frame(str(path), read_parquet(path), lambda number: f"row {number}", form, faults)
    separator = form.separator or SEPARATORS.get(suffix.lower())
    if separator is None:
        known = ".csv, .tsv (both also with .gz behind them) or .parquet"
        raise DataFormatError(
            path, None, "the name of a table", f"end in {known}, or separator be given", f"{path.name!r}"
        )
    fault = faults.other if faults.keep else None
    fields, lines = read_fields(path, separator=separator, names=form.header, encoding=form.encoding, fault=fault)

    def convert(names: Sequence[str], kinds: Mapping[str, Kind], faults: Faults) -> Columns:
        reading = Reading(str(path), lambda number: f"line {lines[number]}", kinds, form.missing, faults)
        return of_texts({name: fields[name] for name in names}, reading)

    return Table(str(path), list(fields), convert, faults)


def _frame(home: str, frame: Any, row: Callable[[int], str], form: Format, faults: Faults) -> Table:
    names = {str(name): name for name in names_of(frame)}

    def convert(wanted: Sequence[str], kinds: Mapping[str, Kind], faults: Faults) -> Columns:
        reading = Reading(home, row, kinds, form.missing, faults)
        return of_frame({name: frame[names[name]] for name in wanted}, reading)

    return Table(home, list(names), convert, faults)
