"""Tables as people have them: against values counted by hand and scikit-learn, and each fault with its place."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fjdl.data.faults import bad_left_out
from fjdl.data.own import Categories, Numbers, TableCoder, read_parquet, read_rows, table
from fjdl.data.source import PARTS, Splits, to_arrays
from fjdl.errors import DataError

FLOWERS = """width,colour,kind
1.5,red,iris
 2 ,"blue, dark",rose
3e0,red,iris
+4,red,rose
"""


def written(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def flowers(count: int = 20) -> dict[str, list[Any]]:
    """Rows in turns of two colours and two kinds."""
    return {
        "width": [float(number) for number in range(count)],
        "colour": ["red", "blue"] * (count // 2),
        "kind": ["iris", "rose"] * (count // 2),
    }


def as_csv(columns: dict[str, list[Any]], separator: str = ",") -> str:
    rows = zip(*columns.values(), strict=True)
    return "".join(separator.join(map(str, row)) + "\n" for row in [columns, *rows])


def together(splits: Splits) -> dict[str, np.ndarray]:
    """All examples in the order of their first feature."""
    parts = [to_arrays(getattr(splits, part)) for part in PARTS]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(joined["features"][:, 0])
    return {name: array[order] for name, array in joined.items()}


def test_numbers_and_names_become_features_in_the_order_of_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", FLOWERS)
    splits = table(path, label="kind", validation=path, test=path)
    assert (splits.name, splits.classes) == ("a.csv", ("iris", "rose"))
    assert splits.coder.names == ("width", "colour=blue, dark", "colour=red")
    arrays = to_arrays(splits.train)
    assert arrays["features"].tolist() == [[1.5, 0, 1], [2, 1, 0], [3, 0, 1], [4, 0, 1]]
    assert (arrays["features"].dtype, arrays["label"].dtype) == (np.float32, np.int32)
    assert arrays["label"].tolist() == [0, 1, 0, 1]


def test_every_kind_of_file_and_frame_gives_the_same_examples(tmp_path: Path) -> None:
    columns = flowers()
    frame = np.rec.fromarrays([np.array(values) for values in columns.values()], names=",".join(columns))
    arrow = pyarrow.table(columns)
    parquet.write_table(arrow, tmp_path / "a.parquet")
    given: list[tuple[Any, dict[str, Any]]] = [
        (written(tmp_path / "a.csv", as_csv(columns)), {}),
        (str(written(tmp_path / "b.csv.gz", as_csv(columns))), {}),
        (written(tmp_path / "a.tsv", as_csv(columns, "\t")), {}),
        (written(tmp_path / "a.data", as_csv(columns, ";")), {"separator": ";"}),
        (written(tmp_path / "c.csv", as_csv(columns).partition("\n")[2]), {"header": [*columns]}),
        (tmp_path / "a.parquet", {}),
        (read_parquet(tmp_path / "a.parquet"), {}),
        (columns, {}),
        (frame, {}),
        (Frame(columns), {}),
    ]
    for data, options in given:
        found = together(table(data, label=-1, **options))
        assert found["features"].tolist() == [[k, k % 2, 1 - k % 2] for k in range(20)], data
        assert found["label"].tolist() == [0, 1] * 10


class Frame:
    """What pandas and polars have in common."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.held, self.columns = columns, list(columns)

    def __getitem__(self, name: str) -> Any:
        return np.array(self.held[name], object)


def test_parts_are_drawn_class_by_class_and_by_the_seed() -> None:
    columns = flowers(40)
    first, again, other = (table(columns, label="kind", validation=0.1, test=0.2, split_seed=s) for s in (0, 0, 1))
    assert [getattr(first, part).length for part in PARTS] == [28, 4, 8]
    assert np.bincount(to_arrays(first.test)["label"]).tolist() == [4, 4]
    for part in PARTS:
        np.testing.assert_array_equal(
            to_arrays(getattr(first, part))["features"], to_arrays(getattr(again, part))["features"]
        )
    assert (to_arrays(first.test)["features"] != to_arrays(other.test)["features"]).any()
    assert together(first)["features"][:, 0].tolist() == list(range(40))


def test_rules_are_fitted_to_the_training_part_alone_as_in_scikit_learn(rng: np.random.Generator) -> None:
    numbers = rng.normal(5, 3, 60)
    numbers[::7] = np.nan
    names = np.array(["a", "b", None, "a", "c"], object)[rng.integers(0, 5, 60)]
    columns = {"number": numbers, "constant": np.full(60, 2.0), "name": names, "target": rng.normal(size=60)}
    splits = table(columns, target="target", impute="median", standardize=True, unseen="zeros")
    train = np.isin(columns["target"].astype(np.float32), to_arrays(splits.train)["target"])
    assert train.sum() == splits.train.length == 39
    imputer = SimpleImputer(strategy="median").fit(numbers[train, None])
    scaler = StandardScaler().fit(imputer.transform(numbers[train, None]))
    frequent = SimpleImputer(strategy="most_frequent", missing_values=None).fit(names[train, None])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(frequent.transform(names[train, None]))
    for part in PARTS:
        arrays = to_arrays(getattr(splits, part))
        rows = np.array([np.argmin(np.abs(columns["target"] - value)) for value in arrays["target"]])
        expected = [
            scaler.transform(imputer.transform(numbers[rows, None])),
            np.zeros((len(rows), 1)),
            encoder.transform(frequent.transform(names[rows, None])),
        ]
        np.testing.assert_allclose(arrays["features"], np.concatenate(expected, axis=1), rtol=1e-5, atol=1e-6)
        assert arrays["target"].dtype == np.float32
    assert splits.classes == ()


def test_numbers_may_be_names_and_columns_may_be_left_out() -> None:
    columns = {
        "zip": [10, 9, 10, 9] * 5,
        "note": ["1", "x", "2", "y"] * 5,
        "flag": [True, False] * 10,
        "k": [1, 0] * 10,
    }
    splits = table(columns, label="k", categories=["zip"], ignore=["note"])
    assert splits.coder.names == ("zip=9", "zip=10", "flag")
    assert splits.classes == ("0", "1")
    found = to_arrays(splits.train)
    assert np.array_equal(found["features"][:, 2], found["label"])
    assert table(columns, label="k", ignore=["note"], classes=["1", "0"]).classes == ("1", "0")


def test_a_coder_reads_further_rows_and_comes_back_from_its_file(tmp_path: Path) -> None:
    columns = {**flowers(), "gap": [1.0, float("nan"), 3.0, 4.0] * 5}
    splits = table(columns, label="kind", impute="mean", standardize=True)
    (text,) = splits.files().values()
    coder = TableCoder.from_json(text, path="table.json")
    assert coder == splits.coder
    assert coder.as_json() == text
    assert isinstance(coder.features[0], Numbers)
    assert isinstance(coder.features[1], Categories)
    path = written(tmp_path / "new.csv", "colour,gap,width,more\nred,NA,4,x\n")
    source, numbers, left_out = read_rows(path, coder)
    width, gap = (each for each in coder.features if isinstance(each, Numbers))
    assert gap.fill is not None
    expected = [(4 - width.shift) / width.scale, 0, 1, (gap.fill - gap.shift) / gap.scale]
    np.testing.assert_allclose(to_arrays(source)["features"], [expected], rtol=1e-6)
    assert (numbers.tolist(), left_out) == ([0], ())
    for damaged in ("{", "[]", json.dumps({"features": []}), text.replace('"format": 1', '"format": 2')):
        with pytest.raises(DataError, match=r"table\.json must hold how a table is read"):
            TableCoder.from_json(damaged, path="table.json")
    with pytest.raises(DataError, match=r"new\.csv: the table must have a column 'gap', got colour, width"):
        read_rows(written(path, "colour,width\nred,4\n"), coder)


def test_an_unseen_name_may_be_none_of_the_known_ones(tmp_path: Path) -> None:
    train = written(tmp_path / "t.csv", "w,c,kind\n" + "1,red,a\n2,blue,b\n" * 5)
    other = written(tmp_path / "v.csv", "w,c,kind\n3,green,a\n")
    splits = table(train, label="kind", validation=other, unseen="zeros")
    assert to_arrays(splits.validation)["features"].tolist() == [[3, 0, 0]]


def test_bad_rows_are_left_out_where_that_is_wanted(tmp_path: Path) -> None:
    good = "1,red,a\n2,blue,b\n" * 5
    train = written(tmp_path / "t.csv", f"w,c,kind\n{good}x,red,a\n3,red\n4,,b\n5,red,\n")
    other = written(tmp_path / "v.csv", "w,c,kind\n1,green,a\n2,red,a\n")
    with bad_left_out():
        splits = table(train, label="kind", validation=other, test=0.2)
        with pytest.raises(DataError, match=r"v\.csv: a row must be readable, got none: .*line 2"):
            table(train, label="kind", validation=written(tmp_path / "v.csv", "w,c,kind\n1,green,a\n"))
    assert [getattr(splits, part).length for part in PARTS] == [8, 1, 2]
    lines = ["t.csv, line 13", "t.csv, line 12", "t.csv, line 14", "t.csv, line 15", "v.csv, line 2"]
    assert len(splits.left_out) == 5
    for line, sentence in zip(sorted(lines), sorted(splits.left_out), strict=True):
        assert line in sentence
        assert sentence.endswith("; the row is left out")
