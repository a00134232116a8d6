"""Masks of every mode, with void, and damaged ones."""

import numpy as np
import pytest
from PIL import Image

from fjdl.data.blank import blank_data
from fjdl.data.source import to_arrays
from fjdl.data.vision import read_image, read_mask
from fjdl.data.vision.masks import mask_folder
from fjdl.errors import DataError
from tests.data.vision.files import grey, save

CLASSES = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)


def palette(array: np.ndarray) -> Image.Image:
    image = Image.new("P", array.shape[::-1])
    image.putpalette([level for k in range(256) for level in (255 - k, 3 * k % 256, 9)])
    image.putdata(array.ravel().tolist())
    return image


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_values_of_grey_palette_and_16_bits_are_classes(tmp_path, mode):
    image = (
        palette(CLASSES) if mode == "P" else Image.fromarray(CLASSES.astype(np.uint16 if mode == "I;16" else np.uint8))
    )
    assert image.mode == mode
    image.save(tmp_path / "a.png")
    found = read_mask(tmp_path / "a.png", classes=3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, CLASSES)


def test_a_mask_of_1_bit_is_0_and_1(tmp_path):
    Image.fromarray(CLASSES > 0).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "1"
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", classes=2), CLASSES > 0)
    assert read_image(tmp_path / "a.png", channels=1).max() == 255  # as an image it is black and white


def test_void_values_become_255_and_values_map_to_classes(tmp_path):
    save(tmp_path / "a.png", np.array([[0, 255, 11], [100, 255, 0]], np.uint8))
    found = read_mask(tmp_path / "a.png", values={0: 0, 100: 1}, void=(11, 255), classes=2)
    np.testing.assert_array_equal(found, [[0, 255, 255], [1, 255, 0]])
    np.testing.assert_array_equal(
        read_mask(tmp_path / "a.png", values={0: 1, 11: 1, 100: 0, 255: 0}), [[1, 0, 1], [0, 0, 1]]
    )


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (CLASSES, {"classes": 2}, r"a\.png, row 0, column 2: the value of a pixel must be one of 0, 1, got 2"),
        (CLASSES, {"values": {0: 0, 2: 1}}, "row 0, column 1: the value of a pixel must be one of 0, 2, got 1"),
        (CLASSES, {"values": {0: 0, 1: 7, 2: 1}, "classes": 2}, "row 0, column 1: the value of a pixel"),
        (CLASSES.astype(np.uint16) + 300, {}, "row 0, column 0: the value of a pixel must be one of .*, got 300"),
        (np.zeros((2, 2, 3), np.uint8), {}, r"a\.png: a mask must be grey, of 1 bit or have a palette, got mode RGB"),
        (np.full((2, 2), 255, np.uint8), {}, "row 0, column 0: the value of a pixel must be one of .*, got 255"),
    ],
)
def test_other_values_and_colours_are_refused(tmp_path, array, options, message):
    save(tmp_path / "a.png", array)
    with pytest.raises(DataError, match=message):
        read_mask(tmp_path / "a.png", **options)


def test_values_beyond_a_byte_are_the_callers_mistake(tmp_path):
    save(tmp_path / "a.png", CLASSES)
    with pytest.raises(ValueError, match=r"values must lie in \[0, 255\]"):
        read_mask(tmp_path / "a.png", values={300: 1})


def folder(root, count=4):
    for part in ("train", "val", "test"):
        for number in range(count):
            grey(root / "images" / part / f"{number}.jpg", value=10 * number)
            save(root / "masks" / part / f"{number}.png", np.full((8, 12), number % 2 or 255, np.uint8))
    return root


def test_a_folder_of_images_and_masks_fits_both(tmp_path):
    (folder(tmp_path) / "images" / "train" / "notes.txt").write_text("x")
    splits = mask_folder(tmp_path, size=16, classes=("sky", "road"))
    assert (splits.name, splits.classes, splits.train.streamed) == (tmp_path.name, ("sky", "road"), True)
    batch = splits.train.element(np.arange(4))
    assert (batch["image"].shape, batch["mask"].shape, batch["mask"].dtype) == ((4, 16, 16, 3), (4, 16, 16), np.uint8)
    assert np.unique(batch["mask"][1, 2:13]).tolist() == [1]
    assert np.unique(batch["mask"][1, [0, 1, 14, 15]]).tolist() == [255]
    assert np.unique(batch["mask"][2]).tolist() == [255]
    two = mask_folder(tmp_path, size=16, classes=("sky", "road"), parts=("train", "val"), validation=0.25)
    assert [part.length for part in (two.train, two.validation, two.test)] == [3, 1, 4]
    single = mask_folder(tmp_path, size=(8, 12), classes=("sky", "road"), channels=1).train.element(2)
    assert (single["image"].shape, np.unique(single["image"]).tolist()) == ((8, 12, 1), [20])


def test_a_mask_of_another_size_or_none_stops_or_is_counted_and_listed(tmp_path):
    folder(tmp_path)
    save(tmp_path / "masks" / "train" / "1.png", np.ones((12, 8), np.uint8))
    (tmp_path / "masks" / "train" / "2.png").unlink()
    splits = mask_folder(tmp_path, size=16, classes=("sky", "road"))
    with pytest.raises(DataError, match=r"1\.png: the mask must have the size of .*1\.jpg, 12 x 8, got 8 x 12"):
        splits.train.element(1)
    good = mask_folder(tmp_path, size=16, classes=("sky", "road"), skip_bad=True)
    assert (good.train.length, good.validation.length, len(good.left_out)) == (2, 4, 2)
    assert good.left_out[1].endswith("example 2 is left out")
    assert len(to_arrays(good.train)["mask"]) == 2
    for number in range(4):
        (tmp_path / "masks" / "val" / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match="an example of the validation part must be readable"):
        mask_folder(tmp_path, size=16, classes=("sky", "road"), skip_bad=True)


def test_a_folder_that_is_missing_or_empty_is_refused(tmp_path):
    with pytest.raises(DataError, match="train must be a folder of images, got no such folder"):
        mask_folder(tmp_path, size=8, classes=("a",))
    (folder(tmp_path, count=1) / "images" / "test" / "0.jpg").unlink()
    with pytest.raises(DataError, match="each part must hold an image, got none in part 3"):
        mask_folder(tmp_path, size=8, classes=("a",))
    with pytest.raises(ValueError, match="parts must be two, for training and test, or three, got 1"):
        mask_folder(tmp_path, size=8, classes=("a",), parts=("train",))


def test_without_files_shapes_can_be_had():
    with blank_data(images=(3, 2)):
        splits = mask_folder("nowhere", size=8, classes=("a", "b"), channels=1)
    assert {name: array.shape for name, array in splits.train.element(np.arange(2)).items()} == {
        "image": (2, 8, 8, 1),
        "mask": (2, 8, 8),
    }
