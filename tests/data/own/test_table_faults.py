"""Faults of tables, each one sentence with its place."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from fjdl.data.own import table
from fjdl.errors import DataError
from tests.data.own.test_tables import FLOWERS, flowers, written

FAULTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "an empty file": ("", {}, r"a\.csv, line 1: the line must name the columns, got an empty file"),
    "a header alone": ("width,kind\n", {}, r"a\.csv, line 2: the table must have a row, got the end of the file"),
    "rows of several lengths": ("width,kind\n1,a\n2,b,c\n", {}, r"a\.csv, line 3: a row must have 2 fields, got 3"),
    "no such column": ("width,kinds\n1,a\n", {}, r"a\.csv: the table must have a column 'kind', got width, kinds; did"),
    "no such place": ("width,kind\n1,a\n", {"label": 2}, r"the table must have a column number 2, got width, kind"),
    "a word among numbers": (
        "width,kind\n1,a\n\nwide,b\n",
        {},
        r"a\.csv, line 4, column 'width': the field must be a number, as others .*categories=\['width'\].* got 'wide'",
    ),
    "a decimal comma": ("width;kind\n1,5;a\n2;b\n", {"separator": ";"}, r"line 2, column 'width': .* got '1,5'"),
    "a missing number": ("width,kind\n1,a\n,b\n", {}, r"line 3, column 'width': the field must not be missing; impute"),
    "a missing name": ("w,c,kind\n1,r,a\n2,?,b\n3,r,a\n", {}, r"line 3, column 'c': the field must not be missing"),
    "a missing label": ("width,kind\n1,a\n2,NA\n", {}, r"line 3, column 'kind': what is to be predicted must not be"),
    "missing numbers alone": ("w,v,kind\n1,,a\n2,,b\n", {"impute": "mean"}, r"'v': the training part must have a"),
    "a number beyond float32": ("width,kind\n1,a\n1e39,b\n", {}, r"line 3, column 'width': the number must fit"),
    "one class": ("width,kind\n1,a\n2,a\n", {}, r"a\.csv: the label must have at least two classes, got a alone"),
    "nothing to learn from": ("kind\na\nb\n", {}, r"must have a column beside 'kind' to learn from, got none"),
    "two columns of one name": ("w,w,kind\n1,2,a\n", {}, r"line 1: the columns must have names of their own"),
    "a target that is no number": (
        "width,kind\n1,2\n2,a\n",
        {"label": None, "target": "kind"},
        r"line 3, column 'kind': the field must be a number, got 'a'",
    ),
    "a quote that stays open": ('width,kind\n1,"a\n', {}, r"a\.csv, line 2: the row must be comma-separated"),
    "another encoding": ("width,kind\n1,caf\udce9\n", {}, r"a\.csv, line 2: the text must be utf-8, got byte 0xe9"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_of_a_file_is_one_sentence_with_its_place(case: str, tmp_path: Path) -> None:
    text, options, message = FAULTS[case]
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(errors="surrogateescape"))
    given = {"label": "kind", "validation": path, "test": path, **options}
    with pytest.raises(DataError, match=message) as caught:
        table(path, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (
            "w,c,kind\n1,green,a\n",
            r"v\.csv, line 2, column 'c': the category must be one of the training part, 'blue', ",
        ),
        ("w,c,kind\n1,red,z\n", r"v\.csv, line 2, column 'kind': the label must be one of 'a', 'b', got 'z'"),
        ("w,kind\n1,a\n", r"v\.csv: the table must have a column 'c', got w, kind"),
        ("w,c,kind\nx,red,a\n", r"v\.csv, line 2, column 'w': the field must be a number, got 'x'"),
    ],
)
def test_what_the_training_part_does_not_know_is_refused_in_others(
    validation: str, message: str, tmp_path: Path
) -> None:
    train = written(tmp_path / "t.csv", "w,c,kind\n" + "1,red,a\n2,blue,b\n" * 5)
    other = written(tmp_path / "v.csv", validation)
    with pytest.raises(DataError, match=message):
        table(train, label="kind", validation=other)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": [1, 2], "kind": ["x"]}, r"the table: the columns must have one length, got \[1, 2\]"),
        ({"a": [], "kind": []}, "the table: the table must have a column and a row"),
        ({"a": [[1], [2]], "kind": ["x", "y"]}, r"column 'a': the fields must be numbers, booleans or strings, got"),
        ({"a": np.array(["1", 2], object), "kind": ["x", "y"]}, r"row 0, column 'a': .* a number, as others .* '1'"),
        ({"a": np.array(["2020-01-01", "2021-01-01"], "M8[D]"), "kind": ["x", "y"]}, r"column 'a': the fields must be"),
        ({"a": [1.0, np.inf], "kind": ["x", "y"]}, r"row 1, column 'a': the number must fit float32, got inf"),
    ],
)  # fmt: skip
def test_faults_of_frames_name_row_and_column(data: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        table(data, label="kind", validation=data, test=data)


def test_a_column_of_names_of_rows_is_refused() -> None:
    columns = {"name": [f"n{k}" for k in range(600)], "kind": ["x", "y"] * 300}
    with pytest.raises(DataError, match=r"column 'name': there must be at most 256 categories .* got 390; ignore="):
        table(columns, label="kind")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of label and target must be given, got label=None and target=None"),
        ({"label": "kind", "target": "width"}, "one of label and target must be given"),
        ({"label": "kind", "ignore": "width"}, "ignore must be a sequence of names of columns, got one alone, 'width'"),
        ({"label": "kind", "categories": ["x"]}, "categories must name columns of the table, width, .* got 'x'"),
        ({"label": "kind", "test": 0.0}, r"test must be a share in \(0, 1\) or be given as data, got 0.0"),
        ({"label": "kind", "test": 0.6, "validation": 0.6}, "validation and test must leave examples to learn from"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(flowers(), **options)
    with pytest.raises(ValueError, match="data must be a path, a data frame or a mapping of columns, got 3"):
        table(3, label="kind")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.xlsx: the name of a table must end in \.csv, \.tsv .* got 'a\.xlsx'"):
        table(tmp_path / "a.xlsx", label="kind")
    with pytest.raises(DataError, match=r"none\.csv must be a file, got a path that does not exist"):
        table(tmp_path / "none.csv", label="kind")
    for name, content in (("none.parquet", None), ("a.parquet", b""), ("b.parquet", b"PAR1 torn PAR1")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name} must be a (file|readable file of Parquet)"):
            table(tmp_path / name, label="kind")
    parquet.write_table(pyarrow.table({"a": pyarrow.array([], "int64")}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"c\.parquet: the table must have a column and a row, got none"):
        table(tmp_path / "c.parquet", label="kind")


def test_few_rows_are_refused_and_not_lost(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", FLOWERS)
    with pytest.raises(DataError, match=r"a\.csv: every part must hold an example, got parts of"):
        table(path, label="kind")
