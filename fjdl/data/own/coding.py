"""How the fields of a table become numbers: fitted to the training part alone, and kept beside what learns from it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np

from fjdl.data.faults import Faults
from fjdl.data.own.columns import Columns, Kind
from fjdl.data.own.labels import ordered
from fjdl.errors import DataFormatError

Unseen = Literal["refuse", "zeros"]
Impute = Literal["mean", "median"]

FORMAT = 1
NEEDED = "the field must not be missing; impute='mean' or 'median' fills it"
MOST_CATEGORIES = 256  # of one column


@dataclass(frozen=True)
class Numbers:
    """A column of numbers, of which one feature is made: `(x - shift) / scale`."""

    name: str
    fill: float | None = None  # in the place of a missing number
    shift: float = 0.0
    scale: float = 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """Of its features."""
        return (self.name,)

    def encoded(self, columns: Columns, faults: Faults) -> np.ndarray:
        """The features of each row, float32 [n, 1]; a number that is missing or not finite is a fault of its row."""
        values = columns.values[self.name]
        _require_filled(columns, self.name, self.fill, faults)
        filled = np.where(np.isnan(values), self.fill or 0.0, values)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = ((filled - self.shift) / self.scale).astype(np.float32)
        for number in np.flatnonzero(~np.isfinite(scaled)).tolist():
            rule = f"the number must fit float32, got {filled[number]:g}"
            faults.row(number, f"{columns.place(number, self.name)}: {rule}")
        return scaled[:, None]


@dataclass(frozen=True)
class Categories:
    """A column of names, of which one feature for each known name is made, 1 for the name of the row and 0 else."""

    name: str
    values: tuple[str, ...]
    fill: str | None = None  # in the place of a missing name
    unseen: Unseen = "refuse"  # what happens to a name that is not known

    @property
    def names(self) -> tuple[str, ...]:
        """Of its features."""
        return tuple(f"{self.name}={value}" for value in self.values)

    def encoded(self, columns: Columns, faults: Faults) -> np.ndarray:
        """The features of each row, float32 [n, names]; a name that is missing or not known is a fault of its row."""
        values = columns.values[self.name]
        _require_filled(columns, self.name, self.fill, faults)
        places = {value: number for number, value in enumerate(self.values)}
        encoded = np.zeros((len(values), len(self.values)), np.float32)
        for number, value in enumerate(values):
            place = places.get(value or self.fill or "")
            if place is not None:
                encoded[number, place] = 1
            elif value is not None and self.unseen == "refuse":
                faults.row(
                    number,
                    f"{columns.place(number, self.name)}: the category must be one of the training part, "
                    f"{_listed(self.values)}, got {value!r}; unseen='zeros' takes it for none of them",
                )
        return encoded


Feature = Numbers | Categories


@dataclass(frozen=True)
class TableCoder:
    """What makes examples of the rows of a table, in the order of its columns.

    `label` names the column of classes, of which label `k` means `classes[k]`, `target` that of numbers to be
    predicted; one of them is None.
    """

    features: tuple[Feature, ...]
    label: str | None
    target: str | None
    classes: tuple[str, ...]
    missing: tuple[str, ...]
    separator: str | None = None  # of the file that it was fitted to, None where its name says it
    header: tuple[str, ...] | None = None  # names of all columns where the file does not say them
    encoding: str = field(default="utf-8")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features: those of a number as the column, those of a category as `column=name`."""
        return tuple(name for feature in self.features for name in feature.names)

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each column must hold that features are made of."""
        return {each.name: "number" if isinstance(each, Numbers) else "category" for each in self.features}

    def encoded(self, columns: Columns, faults: Faults) -> dict[str, np.ndarray]:
        """The features of rows, `{"features": float32 [n, d]}`; other columns do not count.

        Raises `DataError` for a column that is not there.
        """
        for each in self.features:
            if each.name not in columns.values:
                known = ", ".join(map(str, columns.values))
                raise DataFormatError(columns.home, None, "the table", f"have a column {each.name!r}", f"{known}")
        return {"features": np.concatenate([each.encoded(columns, faults) for each in self.features], axis=1)}

    def answers(self, columns: Columns, faults: Faults) -> dict[str, np.ndarray]:
        """What is to be predicted of rows: `{"label": int32 [n]}` or `{"target": float32 [n]}`."""
        if self.target is not None:
            return {"target": Numbers(self.target).encoded(columns, faults)[:, 0]}
        assert self.label is not None
        places, labels = {name: place for place, name in enumerate(self.classes)}, np.zeros(columns.length, np.int32)
        for number, value in enumerate(columns.values[self.label]):
            if value in places:
                labels[number] = places[value]
            else:
                got = "a missing field" if value is None else repr(value)
                rule = f"the label must be one of {_listed(self.classes)}"
                faults.row(number, f"{columns.place(number, self.label)}: {rule}, got {got}")
        return {"label": labels}

    def as_json(self) -> str:
        """All of it, as a file that `from_json` reads."""
        made = {**{each.name: getattr(self, each.name) for each in fields(self)}, "format": FORMAT}
        made["features"] = [{"kind": self.kinds[each.name], **asdict(each)} for each in self.features]
        return json.dumps({**made, "sha256": _digest(made)}, indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str, *, path: Any) -> "TableCoder":
        """What `as_json` wrote; raises `DataError` for anything else, and for damage, which `path` names."""
        try:
            made = json.loads(text)
            if made.pop("sha256") != _digest(made):
                raise ValueError
            features = tuple(_feature(dict(row)) for row in made.pop("features"))
            if made.pop("format") != FORMAT or not features:
                raise ValueError
            lists = {name: tuple(made[name]) for name in ("classes", "missing")}
            header = None if made["header"] is None else tuple(made["header"])
            return TableCoder(features=features, **{**made, **lists, "header": header})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataFormatError(
                path, None, "", "hold how a table is read, as a run keeps it", "another content"
            ) from error


def fitted(
    columns: Columns,
    *,
    features: Sequence[str],
    impute: Impute | None,
    standardize: bool,
    unseen: Unseen,
) -> tuple[Feature, ...]:
    """How the features of these rows, the training part, are made."""
    return tuple(
        _fitted_numbers(columns, name, impute=impute, standardize=standardize)
        if columns.values[name].dtype == np.float64
        else _fitted_categories(columns, name, impute=impute, unseen=unseen)
        for name in features
    )


def _fitted_numbers(columns: Columns, name: str, *, impute: Impute | None, standardize: bool) -> Numbers:
    values = columns.values[name]
    known = values[np.isfinite(values)]
    if not known.size:
        raise DataFormatError.told(f"{columns.home}, column {name!r}: {_one_needed('number', name)}")
    fill = None if impute is None else float(known.mean() if impute == "mean" else np.median(known))
    if not standardize:
        return Numbers(name, fill)
    filled = known if fill is None else np.where(np.isnan(values), fill, values)
    constant = filled.min() == filled.max()
    return Numbers(name, fill, float(filled.mean()), 1.0 if constant else float(filled.std()))


def _fitted_categories(columns: Columns, name: str, *, impute: Impute | None, unseen: Unseen) -> Categories:
    counts: dict[str, int] = {}
    for value in columns.values[name]:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    if not counts:
        raise DataFormatError.told(f"{columns.home}, column {name!r}: {_one_needed('field', name)}")
    if len(counts) > MOST_CATEGORIES:
        raise DataFormatError(
            columns.home,
            f"column {name!r}",
            "there",
            f"be at most {MOST_CATEGORIES} categories in the training part",
            f"{len(counts)}; ignore=[{name!r}] leaves the column out",
        )
    known = tuple(ordered(counts))
    fill = None if impute is None else max(known, key=lambda value: counts[value])
    return Categories(name, known, fill, unseen)


def _one_needed(what: str, name: str) -> str:
    return f"the training part must have a {what} there, got missing ones alone; ignore=[{name!r}] leaves it out"


def _require_filled(columns: Columns, name: str, fill: Any, faults: Faults) -> None:
    if fill is not None:
        return
    for number in np.flatnonzero(columns.gone(name)):
        faults.row(int(number), f"{columns.place(int(number), name)}: {NEEDED}")


def _digest(made: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def _feature(row: dict[str, Any]) -> Feature:
    if row.pop("kind") == "number":
        return Numbers(**row)
    return Categories(**{**row, "values": tuple(row["values"])})


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")
