"""Arrays from `.npz` files and from memory under the names that people give them, and their faults."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fjdl.data.own import arrays, read_npz
from fjdl.data.source import PARTS, to_arrays
from fjdl.errors import DataError


def digits(count: int = 20) -> dict[str, np.ndarray]:
    return {"x": np.arange(count * 16, dtype=np.uint8).reshape(count, 4, 4), "y": np.arange(count) % 2}


def test_a_file_without_parts_is_divided_class_by_class(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", **digits())
    splits = arrays(tmp_path / "d.npz", validation=0.2, test=0.3)
    assert (splits.name, splits.classes) == ("d.npz", ("0", "1"))
    assert [getattr(splits, part).length for part in PARTS] == [10, 4, 6]
    test = to_arrays(splits.test)
    assert (test["image"].shape, test["image"].dtype, test["label"].dtype) == ((6, 4, 4, 1), np.uint8, np.int32)
    assert np.bincount(test["label"]).tolist() == [3, 3]
    assert (test["image"][:, 0, 0, 0] // 16 % 2 == test["label"]).all()
    assert splits.reader is not None


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("x_train", "y_train", "x_test", "y_test"), ("train", "test")),
        (("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"), PARTS),
        (("X_train", "Y_train", "X_valid", "Y_valid"), ("train", "validation")),
    ],
)
def test_parts_are_told_by_the_names_of_arrays(names: tuple[str, ...], parts: tuple[str, ...]) -> None:
    data = {}
    for number, (images, labels) in enumerate(zip(names[::2], names[1::2], strict=True)):
        rows = digits(20 - 2 * number)
        data |= {images: rows["x"], labels: rows["y"][:, None]}  # a column, as MedMNIST has it
    splits = arrays(data)
    sizes = [getattr(splits, part).length for part in PARTS]
    assert sizes == ([20, 18, 16] if len(parts) == 3 else [18, 2, 18])
    assert splits.train.element(0)["label"].shape == ()


def test_few_examples_of_many_classes_are_drawn_from_all() -> None:
    splits = arrays({"x": np.eye(40), "y": np.arange(40) % 20})
    assert [getattr(splits, part).length for part in PARTS] == [26, 6, 8]
    rows = np.concatenate([to_arrays(getattr(splits, part))["features"].argmax(axis=1) for part in PARTS])
    assert sorted(rows.tolist()) == list(range(40))


def test_strings_numbers_and_names_of_ones_own() -> None:
    rng = np.random.default_rng(0)
    words = arrays({"features": rng.normal(size=(30, 3)), "labels": ["b", "a", "c"] * 10})
    assert words.classes == ("a", "b", "c")
    assert to_arrays(words.train)["features"].dtype == np.float32
    assert words.reader is None
    line = arrays({"x": np.arange(30), "y": np.arange(30) / 2})
    assert (line.classes, line.train.element(0)["features"].shape) == ((), (1,))
    found = to_arrays(line.train)
    assert found["target"].dtype == np.float32
    np.testing.assert_array_equal(found["features"][:, 0] / 2, found["target"])
    named = {"pixels": rng.integers(0, 256, (20, 4, 4, 3), np.uint8), "digit": np.arange(20) % 2, "other": np.ones(3)}
    splits = arrays(named, names={"pixels": "image", "digit": "label"}, classes=["even", "odd"])
    assert (splits.classes, splits.train.element(0)["image"].shape) == (("even", "odd"), (4, 4, 3))
    parts = {f"{name}_{part}": rows for name, rows in named.items() for part in ("train", "test")}
    assert arrays(parts, names={"pixels": "image", "digit": "label"}).test.length == 20


X, Y = np.zeros((20, 3), np.float32), np.arange(20) % 2
SPOILT = np.where(np.arange(60).reshape(20, 3) == 10, np.nan, 0.0)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ({"x": X, "y": Y[:19]}, {}, r"one number of rows, not 0, got 20 of 'features', 19 of 'label'"),
        ({"x": X[:0], "y": Y[:0]}, {}, r"one number of rows, not 0, got 0 of 'features'"),
        ({"x": SPOILT, "y": Y}, {}, r"array 'x', row 3: the number must be finite in float32, got nan at \[1\]"),
        ({"x": X, "y": Y - 1}, {}, r"train part, row 0: the label must lie in \[0, 1\), got -1"),
        ({"x": X, "y": Y * 0}, {}, r"the label must have at least two classes, got 0 alone"),
        ({"x": X, "y": Y * 10**7}, {}, r"labels must lie in \[0, 1000000\), got 10000000"),
        ({"x": X, "y": Y, "q": Y}, {}, r"must have a name such as x or y, .* got 'q'; names=\{'q': 'image'\} says"),
        ({"x": X, "image": X, "y": Y}, {}, r"one array must become 'features', got 'image' beside another one"),
        ({"x": X, "y": Y}, {"names": {"z": "image"}}, r"there must be an array 'z', got x, y"),
        ({"x": X, "y": np.eye(20)}, {"names": {"x": "features", "y": "label"}}, r"one label for each row, got shape"),
        ({"x": X, "y": Y + 0.5}, {"names": {"x": "features", "y": "label"}}, r"integers or strings, got float64"),
        ({"x": np.array(["a"] * 20), "y": Y}, {}, r"array 'x': the entries must be numbers, got <U1"),
        ({"x": np.array(1.0), "y": Y}, {}, r"there must be rows of numbers or strings, got float64\[\]"),
        ({"x_test": X, "y_test": Y}, {}, r"there must be arrays of the training part, got those of test"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 2}, {"classes": "ab"}, r"test part, row 0: .* got 2"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": ["a", "b"] * 10}, {}, r"integers or strings, got both"),
        ({"index": X, "y": Y}, {"names": {"index": "index", "y": "label"}}, r"an array must not be called 'index'"),
        ({"x": X[:3], "y": Y[:3]}, {}, r"every part must hold an example"),
    ],
)  # fmt: skip
def test_faults_name_the_array_and_the_row(data: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays(data, **options)


def test_damaged_files_and_other_files_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for content, message in (
        (b"", r"a\.npz must be a readable \.npz file"),
        (b"PK not", r"a\.npz must be a readable \.npz file"),
        (packed({}), r"a\.npz: the file must hold an array, got none"),
        (packed({"x.npy": b"\x93NUMPY"}), r"a\.npz must be a readable \.npz file"),
        (packed({"x.npy": saved(np.array([{}], object))}), r"array 'x': entries must be numbers, .* got object"),
        (packed({"x.npy": saved(np.ones(9))[:-8]}), r"array 'x': there must be 72 bytes behind the header, got 64 for"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_npz(path)
    np.savez(path, **digits())
    whole = path.read_bytes()
    place = whole.index(b"\x93NUMPY") + 200
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(DataError, match=r"a\.npz must be a readable \.npz file, got Bad CRC"):
        read_npz(path)
    with pytest.raises(DataError, match=r"the name of a file of arrays must end in \.npz, got 'a\.npy'"):
        arrays(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"b\.npz must be a file, got no such file"):
        arrays(tmp_path / "b.npz")


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def test_arrays_come_back_as_numpy_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kept = {
        "fortran": np.asfortranarray(rng.normal(size=(3, 4))),
        "big": rng.normal(size=5).astype(">f8"),
        "text": np.array(["a", "bc"]),
        "scalar": np.array(3),
        "flags": np.array([True, False]),
    }
    np.savez(tmp_path / "a.npz", **kept)
    found = read_npz(tmp_path / "a.npz")
    assert found.keys() == kept.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, kept[name])
        assert array.dtype.isnative
