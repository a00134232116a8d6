"""Columns of a table before anything is fitted to them: numbers or strings, and the place of each field."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fjdl.calls import received
from fjdl.data.faults import Faults
from fjdl.errors import DataFormatError

Kind = Literal["number", "category"]

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "NULL", "null")  # fields of a text that hold nothing
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Columns:
    """Columns of one length by their names, in order.

    A column is float64, with NaN where a field is missing, or it holds strings as objects, with None there.
    """

    values: Mapping[str, np.ndarray]
    home: str  # where they come from, such as "flowers.csv"
    row: Callable[[int], str]  # the place of a row there, such as "line 3"

    @property
    def length(self) -> int:
        """The number of rows."""
        return len(next(iter(self.values.values())))

    def place(self, number: int, name: str) -> str:
        """The place of a field in words."""
        return f"{self.home}, {self.row(number)}, column {name!r}"

    def gone(self, name: str) -> np.ndarray:
        """Whether each field of a column is missing."""
        values = self.values[name]
        return np.isnan(values) if values.dtype == np.float64 else np.array([each is None for each in values], bool)

    def rows(self, chosen: np.ndarray) -> "Columns":
        """Some of the rows."""
        values = {name: column[chosen] for name, column in self.values.items()}
        return Columns(values, self.home, lambda number: self.row(int(chosen[number])))


@dataclass(frozen=True)
class Reading:
    """How the fields of columns are read: their kinds where they are known, and what stands for a missing one."""

    home: str
    row: Callable[[int], str]
    kinds: Mapping[str, Kind]
    missing: Collection[str]
    faults: Faults

    def columns(self, values: Mapping[str, np.ndarray]) -> Columns:
        """Columns that were read."""
        return Columns(values, self.home, self.row)

    def no_number(self, number: int, name: str, entry: Any) -> None:
        """A field is no number in a column of numbers: a fault of its row."""
        rule = "the field must be a number"
        if name not in self.kinds:
            rule += f", as others of the column are, which categories=[{name!r}] takes for names"
        self.faults.row(number, f"{self.home}, {self.row(number)}, column {name!r}: {rule}, got {_short(entry)}")


def of_texts(fields: Mapping[str, Sequence[str]], reading: Reading) -> Columns:
    """The columns of fields of a text.

    A column of which nothing is known holds numbers where one of its fields is a number, and strings where none is. A
    field that is no number among numbers is a fault of its row. White space around a field does not count.
    """

    def column(name: str, texts: Sequence[str]) -> np.ndarray:
        found = [None if (text := field.strip()) in reading.missing else text for field in texts]
        numeric = [text is not None and _NUMBER.fullmatch(text) is not None for text in found]
        return _column(name, found, numeric, reading)

    return reading.columns({name: column(name, texts) for name, texts in fields.items()})


def of_frame(frame: Any, reading: Reading) -> Columns:
    """The columns of a data frame, a table of Arrow or a mapping, each of numbers, booleans or strings.

    None, NaN and what pandas has for a missing field are missing, and so are the strings that mean it. Raises
    `DataError` for a column of something else, for columns of several lengths, and for a table without a row.
    """
    columns = {str(name): _array(reading.home, str(name), frame[name]) for name in names_of(frame)}
    lengths = {len(array) for array in columns.values()}
    if not lengths or 0 in lengths:
        raise DataFormatError(
            reading.home, None, "the table", "have a column and a row", f"{len(columns)} columns, no row"
        )
    if len(lengths) > 1:
        raise DataFormatError(reading.home, None, "the columns", "have one length", f"{sorted(lengths)}")
    return reading.columns({name: _converted(array, name, reading) for name, array in columns.items()})


def names_of(frame: Any) -> list[Any]:
    """The names of the columns of a frame; raises `ValueError` for what has none."""
    for attribute in ("column_names", "columns"):
        if hasattr(frame, attribute):
            return list(getattr(frame, attribute))
    if isinstance(frame, Mapping):
        return list(frame)
    fields = getattr(getattr(frame, "dtype", None), "names", None)
    if fields is None:
        raise ValueError(f"data must be a path, a data frame or a mapping of columns, got {received(frame)}")
    return list(fields)


def _array(home: str, name: str, column: Any) -> np.ndarray:
    array = np.asarray(column)
    if array.ndim != 1 or array.dtype.kind not in "biufOUST":
        raise DataFormatError(
            home,
            f"column {name!r}",
            "the fields",
            "be numbers, booleans or strings",
            f"{array.dtype} of shape {list(array.shape)}; ignore=[{name!r}] leaves the column out",
        )
    return array


def _converted(array: np.ndarray, name: str, reading: Reading) -> np.ndarray:
    if array.dtype.kind in "biuf" and reading.kinds.get(name) != "category":
        return array.astype(np.float64)
    found = [None if _is_missing(entry, reading.missing) else entry for entry in array.tolist()]
    return _column(name, found, [isinstance(entry, int | float) for entry in found], reading)


def _column(name: str, found: Sequence[Any], numeric: Sequence[bool], reading: Reading) -> np.ndarray:
    """The column of these entries, None where one is missing, of which some are numbers."""
    kind = reading.kinds.get(name)
    if kind == "category" or (kind is None and not any(numeric)):
        return _objects([None if entry is None else _named(entry) for entry in found])
    for number, (entry, good) in enumerate(zip(found, numeric, strict=True)):
        if entry is not None and not good:
            reading.no_number(number, name, entry)
    return np.array([float(entry) if good else np.nan for entry, good in zip(found, numeric, strict=True)])


def _is_missing(entry: Any, missing: Collection[str]) -> bool:
    if isinstance(entry, str):
        return entry.strip() in missing
    unknown = entry is None or type(entry).__name__ in ("NAType", "NaTType")
    return unknown or (isinstance(entry, float) and entry != entry)


def _named(entry: Any) -> str:
    """The name of a category: a whole number has no decimals, whatever its type is."""
    if isinstance(entry, float) and entry.is_integer():
        return str(int(entry))
    return str(entry).strip()


def _objects(entries: Sequence[str | None]) -> np.ndarray:
    values = np.empty(len(entries), object)
    values[:] = list(entries)
    return values


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
