"""Named data sets: small stand-ins in the official format, and the real files where they are at hand."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fjdl.data.blank import blank_data
from fjdl.data.embedded import digits
from fjdl.data.source import Splits, to_arrays
from fjdl.data.vision import omniglot, read_drawings
from fjdl.data.vision.bccd import bccd
from fjdl.data.vision.camvid import camvid
from fjdl.data.vision.digit_scenes import digit_scenes
from fjdl.data.vision.isbi import isbi_membrane
from fjdl.errors import DataError
from tests.data.vision.files import annotation, box, grey, save, voc_tree, write
from tests.support import require_data


def lengths(splits: Splits) -> tuple[int, int, int]:
    return splits.train.length, splits.validation.length, splits.test.length


@pytest.fixture
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FJDL_DATA_DIR", raising=False)
    monkeypatch.setenv("FJDL_CACHE_DIR", str(tmp_path / "cache"))


def test_bccd_in_its_layout_drops_the_zero_area_box(tmp_path):
    cells = annotation(box("WBC", [1, 1, 12, 8], "<difficult>0</difficult>"), box("RBC", [5, 3, 5, 3]))
    voc_tree(tmp_path / "bccd" / "BCCD", a=cells, b=annotation(box("Platelets", [2, 2, 3, 3])))
    splits = bccd(data_dir=tmp_path, size=(8, 12))
    assert (splits.name, splits.classes, lengths(splits)) == ("bccd", ("RBC", "WBC", "Platelets"), (2, 1, 2))
    assert not splits.train.streamed
    np.testing.assert_array_equal(splits.train.element(0)["boxes"], [[0, 0, 12, 8]])
    assert "a.xml, object 2" in splits.left_out[0]
    assert bccd(data_dir=tmp_path / "bccd", size=8, streamed=True).test.streamed


def test_real_bccd_has_its_official_parts_and_drops_two_zero_area_boxes():
    require_data("bccd")
    splits = bccd(streamed=True)
    assert lengths(splits) == (205, 87, 72)
    assert [Path(each.split(",")[0]).name for each in sorted(splits.left_out)] == [
        "BloodImage_00338.xml",
        "BloodImage_00343.xml",
    ]
    example = splits.train.element(np.arange(3))
    with blank_data(always=True):
        made_up = bccd().train.element(np.arange(3))
    assert {k: (v.shape, v.dtype) for k, v in example.items()} == {k: (v.shape, v.dtype) for k, v in made_up.items()}
    assert example["valid"].any(axis=1).all()
    assert (example["boxes"] <= [320, 240, 320, 240]).all()


def membranes(root: Path, side: int = 6) -> Path:
    for number in range(30):
        save(root / "isbi-membrane" / "train" / "image" / f"{number}.png", np.full((side, side), number, np.uint8))
        mask = np.where(np.eye(side, dtype=bool), 0, 255).astype(np.uint8)
        save(root / "isbi-membrane" / "train" / "label" / f"{number}.png", mask)
    return root


@pytest.mark.parametrize("folds", [3, 5, 7])
def test_folds_of_membranes_are_blocks_of_slices_that_hold_each_once(tmp_path, folds):
    membranes(tmp_path)
    tested = []
    for fold in range(folds):
        splits = isbi_membrane(fold=fold, folds=folds, data_dir=tmp_path, size=6)
        parts = [
            to_arrays(part)["image"][:, 0, 0, 0].tolist() for part in (splits.train, splits.validation, splits.test)
        ]
        assert sorted(parts[0] + parts[1] + parts[2]) == list(range(30))
        for part in parts[1:]:
            assert part == list(range(part[0], part[0] + len(part)))
        tested += parts[2]
    assert tested == list(range(30))
    assert isbi_membrane(data_dir=tmp_path, size=6, folds=5).test.element(0)["image"][0, 0, 0] == 0


def test_membranes_are_class_0_and_cells_1(tmp_path):
    splits = isbi_membrane(data_dir=membranes(tmp_path), size=6)
    assert (splits.classes, lengths(splits)) == (("membrane", "cell"), (18, 6, 6))
    example = splits.train.element(0)
    np.testing.assert_array_equal(example["mask"], 1 - np.eye(6))
    assert example["image"].shape == (6, 6, 1)
    save(tmp_path / "isbi-membrane" / "train" / "label" / "29.png", np.full((6, 6), 7, np.uint8))
    with pytest.raises(DataError, match=r"29\.png, row 0, column 0: the value of a pixel must be one of 0, 255, got 7"):
        isbi_membrane(data_dir=tmp_path, size=6)
    for options, message in (({"folds": 2}, r"folds must lie in \[3, 30\], got 2"), ({"fold": 5}, "fold must lie in")):
        with pytest.raises(ValueError, match=message):
            isbi_membrane(data_dir=tmp_path, **options)


def test_real_membranes_have_classes_0_and_1():
    require_data("isbi-membrane")
    splits = isbi_membrane(size=512)
    masks = to_arrays(splits.test)["mask"]
    assert (lengths(splits), np.unique(masks).tolist(), masks.shape) == ((18, 6, 6), [0, 1], (6, 512, 512))
    assert 0.15 < 1 - masks.mean() < 0.3


def test_camvid_reads_its_lists_and_makes_class_11_void(tmp_path):
    root = tmp_path / "camvid"
    for part in ("train", "val", "test"):
        grey(root / part / "a.png")
        save(root / f"{part}annot" / "a.png", np.tile(np.arange(12, dtype=np.uint8), (8, 1)))
        prefix = "/SegNet/CamVid/" if part == "train" else ""
        write(root / f"{part}.txt", f"{prefix}{part}/a.png {prefix}{part}annot/a.png\n")
    splits = camvid(data_dir=tmp_path, size=(8, 12))
    np.testing.assert_array_equal(splits.train.element(0)["mask"][0], [*range(11), 255])
    assert (len(splits.classes), lengths(splits)) == (11, (1, 1, 1))
    for line in ("train/a.png\n", "/etc/a.png trainannot/a.png\n", "../a.png trainannot/a.png\n"):
        write(root / "train.txt", line)
        with pytest.raises(DataError, match=r"train\.txt, line 1: a line must name an image and its mask"):
            camvid(data_dir=tmp_path)


def test_real_camvid_has_eleven_classes_and_void():
    require_data("camvid")
    splits = camvid(streamed=True)
    batch = splits.train.element(np.arange(3))
    assert batch["image"].shape == (3, 360, 480, 3)
    assert set(np.unique(batch["mask"])) <= {*range(11), 255}


def archive(path: Path, characters: list[str], drawings: int = 3) -> Path:
    """Each drawing has as many dots of ink as the place of its character says."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("set/", "")
        file.writestr("set/notes.txt", "x")
        for place, character in enumerate(characters):
            for number in range(drawings):
                pixels = np.ones((105, 105), bool)
                pixels[0, : place + 1] = False
                stream = io.BytesIO()
                Image.fromarray(pixels).save(stream, "png")
                file.writestr(f"set/{character}/{number:02}.png", stream.getvalue())
    return path


@pytest.fixture
def characters(tmp_path, monkeypatch):
    first, second = ["A/c0", "A/c1", "B/c2", "B/c3", "B/c4", "Greek/c5"], ["Greek/c5", "Zulu/c1", "Zulu/c2"]
    paths = [archive(tmp_path / "1.zip", first), archive(tmp_path / "2.zip", second)]
    found = dict(zip(omniglot.FILES, paths, strict=True))
    monkeypatch.setattr(omniglot, "find_or_download", lambda folder, file, data_dir: found[file])


def test_no_character_of_omniglot_is_in_two_parts(characters):
    splits = omniglot.omniglot(validation="A")
    assert lengths(splits) == (12, 6, 6)
    assert splits.classes[-4:] == ("A/c0", "A/c1", "Zulu/c1", "Zulu/c2")
    assert len({*splits.classes}) == 8
    arrays = [to_arrays(part) for part in (splits.train, splits.validation, splits.test)]
    assert [np.unique(part["label"]).tolist() for part in arrays] == [[0, 1, 2, 3], [4, 5], [6, 7]]
    for part in arrays[:2]:
        ink = (part["image"] == 255).sum(axis=(1, 2, 3))
        names = [splits.classes[label] for label in part["label"]]
        assert ink.tolist() == [int(name[-1]) + 1 for name in names]
    assert omniglot.omniglot(validation="A", size=28).test.element(0)["image"].shape == (28, 28, 1)
    with pytest.raises(ValueError, match=r"^validation must be one of several alphabets, of A, B, Greek, got 'Zulu'$"):
        omniglot.omniglot(validation="Zulu")


def test_damaged_archives_of_drawings_are_refused(tmp_path):
    good = archive(tmp_path / "a.zip", ["A/c1"]).read_bytes()
    (tmp_path / "b.zip").write_bytes(good[:-40])
    with pytest.raises(DataError, match=r"b\.zip must be a readable zip archive, got"):
        read_drawings(tmp_path / "b.zip")
    flipped = bytearray(good)
    flipped[good.index(b"IDAT") + 6] ^= 255
    (tmp_path / "b.zip").write_bytes(flipped)
    with pytest.raises(DataError, match=r"b\.zip(, set/A/c1/00\.png)? must be a readable"):
        read_drawings(tmp_path / "b.zip")
    for name, content, message in (
        ("set/A/c1/0.png", b"x", r"b\.zip, set/A/c1/0\.png must be a readable PNG image"),
        ("set/A/c1/0.png", b"x" * 2**17, "the file must have at most 65536 bytes, got 131072"),
        ("0.png", b"x", r"b\.zip must hold images of characters, got none"),
    ):
        with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name, content)
        with pytest.raises(DataError, match=message):
            read_drawings(tmp_path / "b.zip")
    stream = io.BytesIO()
    Image.new("L", (9, 9)).save(stream, "png")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.writestr("set/A/c1/0.png", stream.getvalue())
    with pytest.raises(DataError, match="the image must be grey and of 105 x 105, got L"):
        read_drawings(tmp_path / "b.zip")


@pytest.mark.by_day_on_pin(0)
def test_real_omniglot_tests_106_characters_that_training_has_not():
    require_data("omniglot")
    splits = omniglot.omniglot(size=28)
    assert (lengths(splits), len(splits.classes)) == ((114 * 20, 22 * 20, 106 * 20), 242)
    test = to_arrays(splits.test)
    assert np.bincount(test["label"], minlength=242)[136:].tolist() == [20] * 106
    assert {splits.classes[label].split("/")[0] for label in np.unique(test["label"])} == {
        "Japanese_(katakana)",
        "Sanskrit",
        "Tagalog",
    }
    assert 0 < np.mean(test["image"] > 127) < 0.15  # ink is bright, and there is little of it


def test_a_scene_shows_its_digit_in_its_box():
    splits = digit_scenes(size=40, largest=3, seed=1)
    assert lengths(splits) == lengths(digits())
    scenes, glyphs = to_arrays(splits.test), to_arrays(digits().test)
    assert {name: array.dtype.name for name, array in scenes.items()} == {
        "image": "uint8", "boxes": "float32", "labels": "int32", "valid": "bool",
    }  # fmt: skip
    np.testing.assert_array_equal(scenes["labels"][:, 0], glyphs["label"])
    scales = set()
    for image, box_, glyph in zip(scenes["image"][..., 0], scenes["boxes"][:, 0], glyphs["image"][..., 0], strict=True):
        x0, y0, x1, y1 = box_.astype(int)
        assert image.sum() == image[y0:y1, x0:x1].sum()
        rows, columns = np.nonzero(glyph)
        tight = glyph[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        scale = (y1 - y0) // len(tight)
        scales.add(int(scale))
        small = image[y0:y1:scale, x0:x1:scale]
        np.testing.assert_array_equal(np.rint(tight * (255 / 16)).astype(np.uint8), small)
    assert scales == {2, 3}


@pytest.mark.by_day_on_pin(0)
def test_scenes_are_a_function_of_their_options():
    first, again, other = (to_arrays(digit_scenes(size=32, seed=seed, noise=9.0).test) for seed in (0, 0, 1))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
    assert (first["boxes"] != other["boxes"]).any()
    assert len(np.unique(first["image"])) > len(np.unique(to_arrays(digit_scenes(size=32).test)["image"]))
    assert digit_scenes(size=32, copies=2).train.length == 2 * digits().train.length
    with pytest.raises(ValueError, match="size must be at least 32, got 31"):
        digit_scenes(size=31)


@pytest.mark.by_day_on_pin(1)
@pytest.mark.usefixtures("nothing_at_hand")
def test_made_up_data_have_the_official_sizes_and_absent_files_are_named():
    with blank_data() as used:
        found = [lengths(splits) for splits in (bccd(), isbi_membrane(folds=3), camvid(), omniglot.omniglot(size=9))]
        assert (bccd().train.streamed, bccd(streamed=True).train.streamed) == (False, True)
    assert used == ["bccd", "isbi_membrane", "camvid", "omniglot"]
    assert found == [(205, 87, 72), (10, 10, 10), (367, 101, 233), (2280, 440, 2120)]
    for function, name in ((bccd, "bccd"), (isbi_membrane, "isbi-membrane"), (camvid, "camvid")):
        with pytest.raises(
            DataError, match=rf"must be in .*/{name} or in FJDL_DATA_DIR/{name}, got no such file; http"
        ):
            function()
