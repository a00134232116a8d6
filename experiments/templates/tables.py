"""Configs for tables: which column is predicted, which ones say nothing, and whether fields are missing."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.templates.base import Written
from experiments.templates.vectors import of_vectors, table_call
from fjdl.data.faults import Faults, bad_left_out
from fjdl.data.own import read_parquet, table
from fjdl.data.own.coding import MOST_CATEGORIES
from fjdl.data.own.columns import MISSING, Columns
from fjdl.data.own.parquet_images import is_of_images
from fjdl.data.own.table_files import Format, Table, opened
from fjdl.errors import UsageError

GUESSED = ("label", "class", "target", "y")  # names of the column that is predicted where none is given
CLASSES = 20  # most different whole numbers that are taken for classes
MISTAKES = 0.05  # share of a column of numbers that may be other words
NUMBERING = ("id", "index", "unnamed: 0", "")  # names of columns that number the rows


def holds_images(path: Path) -> bool:
    """Whether a file of Parquet has images."""
    return is_of_images(read_parquet(path))


def of_table(name: str, path: Path, *, label: str | None, target: str | None) -> Written:
    """A config for `data.own.table`."""
    with bad_left_out():
        found = opened(path, Format(MISSING))
        words = [each for each in found.names if _is_mixed(found, each)]
        rows = found.rows(found.names, dict.fromkeys(words, "category"))
        columns, notes = rows.columns, [f"note: {sentence}" for sentence in rows.left_out[:5]]
        role, answer = _answer(found, columns, label=label, target=target)
        options: dict[str, Any] = {role: answer, "standardize": True}
        if ignored := _ignored(columns, answer):
            options["ignore"] = ignored
            notes.append(f"note: columns that number or name the rows are left out: {', '.join(ignored)}")
        if names := [each for each in words if each not in (answer, *ignored)]:
            options["categories"] = names
            notes.append(f"note: columns of numbers and words are taken for names: {', '.join(names)}")
        gaps = {
            each: count
            for each in columns.values
            if each not in (answer, *ignored) and (count := int(columns.gone(each).sum()))
        }
        if gaps:
            options["impute"] = "median"
            told = ", ".join(f"{count} in {each!r}" for each, count in gaps.items())
            notes.append(f'note: fields are missing ({told}); impute="median" fills them')
        if any(values.dtype == object for each, values in columns.values.items() if each not in (answer, *ignored)):
            options["unseen"] = "zeros"
        splits = table(path, **options)
    if len(rows.left_out) > 5:
        notes.insert(5, f"note: {len(rows.left_out) - 5} more rows cannot be read")
    if splits.left_out:
        notes.append("note: experiments.check tells all that cannot be read; --skip-bad trains without it")
    return of_vectors(name, path, splits, table_call(options), notes=notes)


def _is_mixed(found: Table, name: str) -> bool:
    """Whether a column has numbers, and other words too often for mistakes."""
    faults = Faults(keep=True)
    length = found.convert([name], {}, faults).length
    return len(faults.rows) > MISTAKES * length


def _answer(found: Table, columns: Columns, *, label: str | None, target: str | None) -> tuple[str, str]:
    """Whether classes or numbers are predicted, and the name of their column."""
    if label is not None and target is not None:
        raise UsageError(f"one of label and target must be given, got {label!r} and {target!r}")
    if target is not None:
        return "target", found.column(target)
    if label is not None:
        return "label", found.column(label)
    guessed = [name for name in found.names if name.lower() in GUESSED]
    if len(guessed) != 1:
        raise UsageError(
            f"{found.home}: --label must name the column of the classes, or --target that of the numbers to be "
            f"predicted; the columns are {', '.join(found.names)}"
        )
    values = columns.values[guessed[0]]
    known = values[~np.isnan(values)] if values.dtype == np.float64 else values
    few = len({*known.tolist()}) <= CLASSES and all(
        float(each).is_integer() for each in known if values.dtype == np.float64
    )
    return "label" if values.dtype == object or few else "target", guessed[0]


def _ignored(columns: Columns, answer: str) -> list[str]:
    """Columns that tell rows apart and say nothing about others."""

    def says_nothing(name: str, values: np.ndarray) -> bool:
        if name.lower() in NUMBERING:
            return True
        different = len({*values.tolist()}) if values.dtype == object else 0
        return different > MOST_CATEGORIES or (different > 20 and different > columns.length / 2)

    found = [name for name, values in columns.values.items() if name != answer and says_nothing(name, values)]
    return found if len(found) < len(columns.values) - 1 else []
