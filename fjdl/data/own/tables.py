"""Tables of numbers and categories as data sets: files of text and of Parquet, and data frames in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fjdl.data.faults import Faults, leaves_out
from fjdl.data.own.coding import NEEDED, Impute, TableCoder, Unseen, fitted
from fjdl.data.own.columns import MISSING, Columns, Kind
from fjdl.data.own.labels import ordered, require_classes
from fjdl.data.own.parts import drawn_parts, share_or_given
from fjdl.data.own.table_files import Format, Rows, kept, opened
from fjdl.data.source import Source, Splits, from_arrays
from fjdl.errors import DataFormatError

Data = Any  # the path of a file, or a data frame


@dataclass(frozen=True, kw_only=True)
class TableSplits(Splits):
    """Splits of a table with what makes numbers of its rows."""

    coder: TableCoder

    def files(self) -> Mapping[str, str]:
        """How a row is read, in the form in which a run keeps it."""
        return {"table.json": self.coder.as_json()}


def table(
    data: Data,
    *,
    label: str | int | None = None,
    target: str | int | None = None,
    ignore: Sequence[str] = (),
    categories: Sequence[str] = (),
    impute: Impute | None = None,
    standardize: bool = False,
    unseen: Unseen = "refuse",
    classes: Sequence[str] | None = None,
    validation: float | Data = 0.15,
    test: float | Data = 0.2,
    split_seed: int = 0,
    missing: Sequence[str] = MISSING,
    separator: str | None = None,
    header: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> TableSplits:
    """A table as `{"features": float32 [d], "label": int32}`, or with a "target" float32 where numbers are predicted.

    `data` is the path of a `.csv`, `.tsv` or `.parquet` file (texts may end in `.gz`), a data frame of any library, a
    table of Arrow or a mapping of columns. `label` is the column of the classes, `target` that of the numbers, by name
    or by place, -1 for the last one. `validation` and `test` are shares that are drawn by the seed, class by class, or
    tables of their own. Everything is fitted to the training part alone, and `TableSplits.coder` has it.

    A column of numbers is one feature, with mean 0 and deviation 1 in the training part where `standardize` says so. A
    column of strings is one feature for each of its names there, 1 for the name of the row; `categories` are columns
    whose numbers are names. A missing field is refused, unless `impute` fills it by the mean or the median of a column
    of numbers, and by the most frequent name of another one. A name that the training part lacks is refused, or is
    none of its names with `unseen="zeros"`. `missing` are the strings that mean a missing field.

    The first row names the columns, or `header` does. `separator` stands between fields, a comma by default or a tab in
    `.tsv`; other endings are taken where it is given. Classes are in the order of their names, or of `classes`.

    Inside of `faults.bad_left_out` rows that cannot be read are left out, each with a sentence in `left_out`. Raises
    `DataError` with file, line and column for what is wrong in the data, among them one class alone, and `ValueError`
    for options that do not fit.

    >>> flowers = {"width": [1.0, 1.2, 3.0, 3.1] * 5, "colour": ["red", "blue"] * 10, "kind": [*"aabb"] * 5}
    >>> splits = table(flowers, label="kind")
    >>> splits.classes, splits.coder.names, splits.train.length
    (('a', 'b'), ('width', 'colour=blue', 'colour=red'), 14)
    >>> splits.train.element(0)["features"]
    array([3., 0., 1.], dtype=float32)
    """
    wanted = label if target is None else target
    if wanted is None or (label is not None and target is not None):
        raise ValueError(f"one of label and target must be given, got label={label!r} and target={target!r}")
    form = Format(tuple(missing), separator, None if header is None else tuple(header), encoding)
    found = opened(data, form)
    answer = found.column(wanted)
    columns = _columns(found.names, answer, ignore=ignore, categories=categories, home=found.home)
    known: dict[str, Kind] = {
        **dict.fromkeys(categories, "category"),
        answer: "number" if label is None else "category",
    }
    rules = {} if impute is not None else dict.fromkeys(columns, NEEDED)
    rules[answer] = "what is to be predicted must not be missing"
    whole = found.rows(columns, known, rules=rules)
    kinds: dict[str, Kind] = {name: _kind(values) for name, values in whole.columns.values.items()}

    def given(part: Data) -> Rows:
        return opened(part, form).rows(columns, kinds, rules=rules)

    (share, middle), (last_share, last) = share_or_given(validation, given), share_or_given(test, given)
    groups = _groups(whole.columns.values[answer])
    train, *drawn = drawn_parts(found.home, groups, validation=share, test=last_share, seed=split_seed)
    learned, *others = (whole.columns.rows(rows) for rows in (train, *drawn))
    names = _classes(learned.values[answer], classes, home=found.home) if target is None else ()
    coder = TableCoder(
        features=fitted(
            learned, features=columns[:-1], impute=impute, standardize=standardize, unseen=unseen
        ),
        label=answer if target is None else None,
        target=None if target is None else answer,
        classes=names,
        missing=form.missing, separator=separator, header=form.header, encoding=encoding,
    )  # fmt: skip
    parts = [learned, *(others.pop(0) if part is None else part.columns for part in (middle, last))]
    sources, sentences = zip(*(_examples(part, coder) for part in parts), strict=True)
    told = [rows.left_out for rows in (whole, middle, last) if rows is not None] + [*sentences]
    return TableSplits(
        name=Path(data).name if isinstance(data, str | Path) else "table",
        train=sources[0], validation=sources[1], test=sources[2],
        classes=names, left_out=tuple(sentence for each in told for sentence in each), coder=coder,
    )  # fmt: skip


class Further(NamedTuple):
    """Rows of another file as examples without what is predicted."""

    source: Source
    numbers: np.ndarray  # of the rows in the file, from 0
    left_out: tuple[str, ...]  # a sentence for each other row


def read_rows(path: Path | str, coder: TableCoder) -> Further:
    """The rows of another file as features alone; those with a fault are left out inside of `bad_left_out`.

    Its columns are read as those that the coder was fitted to; the column that is predicted need not be there. Raises
    `DataError` for a column that is missing, and for the first fault of a row.
    """
    found = opened(path, Format(coder.missing, coder.separator, coder.header, coder.encoding))
    rows = found.rows([each.name for each in coder.features], coder.kinds)
    faults = Faults(keep=leaves_out())
    arrays = coder.encoded(rows.columns, faults)
    good = faults.good(rows.columns.length)
    source = from_arrays({name: array[good] for name, array in arrays.items()})
    return Further(source, rows.numbers[good], (*rows.left_out, *faults.told()))


def _columns(
    names: Sequence[str], answer: str, *, ignore: Sequence[str], categories: Sequence[str], home: str
) -> list[str]:
    """The columns that features are made of, and the one to be predicted behind them."""
    for option, listed in (("ignore", ignore), ("categories", categories)):
        if isinstance(listed, str):
            raise ValueError(
                f"{option} must be a sequence of names of columns, got one alone, {listed!r}: put it in a list"
            )
        if unknown := [name for name in listed if name not in names]:
            raise ValueError(f"{option} must name columns of {home}, {', '.join(names)}, got {unknown[0]!r}")
    used = [name for name in names if name != answer and name not in ignore]
    if not used:
        raise DataFormatError(home, None, "the table", f"have a column beside {answer!r} to learn from", "none")
    return [*used, answer]


def _kind(values: np.ndarray) -> Kind:
    return "number" if values.dtype == np.float64 else "category"


def _groups(answers: np.ndarray) -> np.ndarray:
    """What is drawn from each by itself: the rows of a class, or all rows where numbers are predicted."""
    if answers.dtype == np.float64:
        return np.zeros(len(answers), np.int64)
    return np.unique(answers.astype(str), return_inverse=True)[1]


def _classes(labels: np.ndarray, given: Sequence[str] | None, *, home: str) -> tuple[str, ...]:
    classes = tuple(ordered(dict.fromkeys(labels))) if given is None else tuple(map(str, given))
    require_classes(home, classes)
    return classes


def _examples(columns: Columns, coder: TableCoder) -> tuple[Source, tuple[str, ...]]:
    """The rows as examples, and a sentence for each that is left out."""
    faults = Faults(keep=leaves_out())
    arrays = {**coder.encoded(columns, faults), **coder.answers(columns, faults)}
    rows = kept(columns, faults)
    good = faults.good(columns.length)
    return from_arrays({name: array[good] for name, array in arrays.items()}), rows.left_out
