"""Images in Parquet in the form of Hugging Face's `datasets`, written here by pyarrow."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from fjdl.data.image_folder import square_reader
from fjdl.data.own import parquet_images
from fjdl.data.own.parquet_images import further_images
from fjdl.data.source import PARTS, to_arrays
from fjdl.data.splits import without_bad
from fjdl.errors import DataError

STRUCT = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
NAMES = ["cat", "dog"]


def png(grey: int, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (grey,) * 3).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def write(path: Path, images: list[Any], labels: Any, *, names: list[str] | None = NAMES, kind: Any = STRUCT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table({"image": pyarrow.array(images, kind), "label": labels})
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, path, row_group_size=3)
    return path


def structs(greys: list[int]) -> list[dict[str, Any]]:
    return [{"bytes": png(grey), "path": None} for grey in greys]


def test_a_file_is_divided_and_has_the_names_of_its_classes(tmp_path: Path) -> None:
    path = write(tmp_path / "pets.parquet", structs([*range(20)]), [0, 1] * 10)
    splits = parquet_images(path, size=4, validation=0.2, test=0.2)
    assert (splits.name, splits.classes, splits.train.streamed) == ("pets.parquet", ("cat", "dog"), True)
    assert [getattr(splits, part).length for part in PARTS] == [12, 4, 4]
    for part in PARTS:
        found = to_arrays(getattr(splits, part))
        assert found["image"].shape[1:] == (4, 4, 3)
        assert (found["image"][:, 0, 0, 0] % 2 == found["label"]).all()
    assert splits.reader is not None


def test_a_folder_has_its_parts_in_several_files(tmp_path: Path) -> None:
    for name, greys in (("train-00000-of-00002", [0, 1]), ("train-00001-of-00002", [2, 3, 4]), ("test-0", [9, 8])):
        write(tmp_path / "data" / f"{name}.parquet", structs(greys), [grey % 2 for grey in greys])
    write(tmp_path / "data" / "validation-0.parquet", structs([5]), [1])
    splits = parquet_images(tmp_path, size=2)
    found = [to_arrays(getattr(splits, part)) for part in PARTS]
    assert [part["image"][:, 0, 0, 0].tolist() for part in found] == [[0, 1, 2, 3, 4], [5], [9, 8]]
    assert found[2]["label"].tolist() == [1, 0]


def test_bytes_alone_files_beside_the_table_and_strings(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.parquet", [png(7, mode="L")] * 8, ["x", "y"] * 4, names=None, kind=pyarrow.binary())
    splits = parquet_images(plain, size=4, validation=0.25, test=0.25)
    assert splits.classes == ("x", "y")
    assert (to_arrays(splits.train)["image"] == 7).all()
    (tmp_path / "i.png").write_bytes(png(3))
    beside = write(tmp_path / "b.parquet", [{"bytes": None, "path": "i.png"}] * 8, [0, 1] * 4, names=None)
    splits = parquet_images(beside, size=4, classes=["u", "v"], validation=0.25, test=0.25)
    assert splits.classes == ("u", "v")
    assert (to_arrays(splits.train)["image"] == 3).all()


def test_further_images_are_as_those_of_the_data_set(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", structs([*range(20)]), [0, 1] * 10)
    reader = square_reader(size=4, channels=1, levels=16)
    images = to_arrays(further_images(path, reader))["image"]
    assert images.shape == (20, 4, 4, 1)
    np.testing.assert_array_equal(images[:, 0, 0, 0], np.rint(np.arange(20) * 16 / 255))
    colour = to_arrays(further_images(path, square_reader(size=4)))["image"]
    assert (colour == np.arange(20)[:, None, None, None]).all()
    with pytest.raises(DataError, match=r"a\.parquet: the table must have a column 'photo', got image, label"):
        further_images(path, reader, image="photo")


def test_a_damaged_image_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    images = structs([*range(20)])
    images[4] = {"bytes": png(4)[:-30], "path": None}
    images[5] = {"bytes": None, "path": None}
    images[6] = {"bytes": None, "path": "../secret.png"}
    splits = parquet_images(write(tmp_path / "a.parquet", images, [0, 1] * 10), size=4)
    with pytest.raises(DataError, match=r"a\.parquet, row \d"):
        _ = [to_arrays(getattr(splits, part)) for part in PARTS]
    kept = without_bad(splits)
    assert sum(getattr(kept, part).length for part in PARTS) == 17
    told = "\n".join(sorted(kept.left_out))
    assert "a.parquet, row 4 must be a readable JPEG, PNG, WebP or BMP image" in told
    assert "a.parquet, row 5: an image must have bytes or a path, got neither" in told
    assert "a.parquet, row 6: the path of an image must lie beside the table, got '../secret.png'" in told


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 1, 2, 0], {}, r"a\.parquet, row 2: the label must lie in \[0, 2\), got 2"),
        ([0, 0, 0, 0], {}, r"the label must have at least two classes, got 0 alone"),
        ([0, None, 1, 0], {}, r"row 1, column 'label': the label must be an integer or a string, got None"),
        ([0, 1, 1, 0], {"label": "kind"}, r"must have a column 'kind', got image, label"),
        (
            [0, 1, 1, 0],
            {"image": "label"},
            r"column 'label': images must be bytes or structs of bytes and path, got int",
        ),
        ([0, 1, 1, 0], {}, r"a\.parquet: every part must hold an example, got parts of"),
    ],
)
def test_columns_of_another_form_are_refused(
    labels: list[Any], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.parquet", structs([1, 2, 3, 4]), labels)
    with pytest.raises(DataError, match=message):
        parquet_images(path, size=4, **options)


def test_other_paths_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a file of Parquet or a folder of them, got no such path"):
        parquet_images(tmp_path / "none", size=4)
    with pytest.raises(DataError, match=r"must hold files train\*\.parquet, got none"):
        parquet_images(tmp_path, size=4)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        parquet_images(tmp_path, size=0)
