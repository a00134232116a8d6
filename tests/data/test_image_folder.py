"""Folders of image files against Pillow's own resize and crop, and what a real folder may hold."""

import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fjdl.data.image_folder import decode, image_folder
from fjdl.data.source import to_arrays
from fjdl.errors import DataError


def smooth(width: int, height: int) -> np.ndarray:
    """A picture without fine detail, so that one pixel more or less of a crop changes little."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = [np.sin(3 * x / width + k) * np.cos(2 * y / height + k) for k in range(3)]
    return (127 + 120 * np.stack(planes, axis=-1)).astype(np.uint8)


def save(path: Path, array: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def tree(root: Path, names: list[str], size: int = 4) -> None:
    """One image for each name, all of the grey value that is its number."""
    for number, name in enumerate(names):
        save(root / name, np.full((size, size, 3), number, np.uint8))


def values(source) -> list[tuple[int, int]]:
    arrays = to_arrays(source)
    return list(zip(arrays["image"][:, 0, 0, 0].tolist(), arrays["label"].tolist(), strict=True))


def test_three_folders_are_the_three_parts_with_classes_by_name(tmp_path):
    tree(tmp_path, ["train/b/1.png", "train/a/2.bmp", "train/a/1.png", "val/b/x.PNG", "test/a/y.webp", "test/b/y.png"])
    splits = image_folder(tmp_path, size=4)
    assert (splits.name, splits.classes) == (tmp_path.name, ("a", "b"))
    assert values(splits.train) == [(2, 0), (1, 0), (0, 1)]
    assert values(splits.validation) == [(3, 1)]
    assert [label for _, label in values(splits.test)] == [0, 1]


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_one_folder_beside_train_is_the_test_part(tmp_path, held_out):
    tree(tmp_path, [f"train/{name}/{k}.png" for name in "ab" for k in range(10)] + [f"{held_out}/b/0.png"])
    splits = image_folder(tmp_path, size=4, validation=0.2)
    assert values(splits.test) == [(20, 1)]
    assert [label for _, label in values(splits.validation)] == [0, 0, 1, 1]
    assert sorted(values(splits.train) + values(splits.validation)) == [(k, k // 10) for k in range(20)]


def test_a_folder_of_classes_is_divided_class_by_class(tmp_path):
    tree(tmp_path, [f"{name}/{k}.png" for name in ("cat", "dog") for k in range(10)])
    first, again, other = (image_folder(tmp_path, size=4, validation=0.1, test=0.3, split_seed=s) for s in (0, 0, 1))
    for part, count in (("train", 6), ("validation", 1), ("test", 3)):
        assert [label for _, label in values(getattr(first, part))] == [0] * count + [1] * count
        assert values(getattr(first, part)) == values(getattr(again, part))
    assert values(first.test) != values(other.test)
    together = values(first.train) + values(first.validation) + values(first.test)
    assert sorted(together) == [(k, k // 10) for k in range(20)]


def test_only_image_files_count_at_any_depth(tmp_path):
    tree(tmp_path, ["a/deep/er/2.png", "a/1.png", "a/3.png", ".git/x.png"])
    save(tmp_path / "a" / "0.gif", np.zeros((2, 2), np.uint8))
    (tmp_path / "a" / "notes.txt").write_text("x")
    splits = image_folder(tmp_path, size=2, validation=0.34, test=0.33)
    assert splits.classes == ("a",)
    assert sum(part.length for part in (splits.train, splits.validation, splits.test)) == 3


def test_nothing_is_decoded_before_it_is_asked_for(tmp_path):
    tree(tmp_path, [f"{part}/a/{k}.png" for part in ("train", "val", "test") for k in range(2)])
    damaged = tmp_path / "train" / "a" / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    splits = image_folder(tmp_path, size=4)
    assert splits.train.element(0)["image"].shape == (4, 4, 3)
    for index in (1, np.array([0, 1])):
        with pytest.raises(DataError, match=r"train/a/1\.png must be a readable JPEG, PNG, WebP or BMP image"):
            splits.train.element(index)


def test_elements_have_the_shape_of_their_index(tmp_path):
    tree(tmp_path, [f"{part}/a/{k}.png" for part in ("train", "val", "test") for k in range(3)])
    source = image_folder(tmp_path, size=2).train
    assert source.element(np.zeros((2, 3), int))["image"].shape == (2, 3, 2, 2, 3)
    assert source.element(np.zeros(0, int))["image"].shape == (0, 2, 2, 3)
    one = source.element(2)
    assert (one["image"].dtype, one["label"].dtype, one["label"].shape) == (np.uint8, np.int32, ())
    with pytest.raises(IndexError):
        source.element(3)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "must hold folders of images, got none"),
        (["x.png"], "must hold folders of images, got none"),
        (["train/a/0.png"], "must have val/ or test/ beside train/, got neither"),
        (["train/a/0.png", "val/b/0.png"], "val: the classes must be those of the training part, got 'b'"),
        (["train/a/0.png", "val/b.png"], "val must hold folders of images, got none"),
        (["a/0.png", "b/0.gif"], "b must hold an image, got none"),
    ],
)
def test_a_tree_of_another_form_is_refused(tmp_path, names, message):
    tree(tmp_path, names)
    with pytest.raises(DataError, match=message):
        image_folder(tmp_path, size=4)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="none must be a folder of images"):
        image_folder(tmp_path / "none", size=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"size": 4, "shorter": 3}, "shorter must be at least size=4, got 3"),
        ({"size": 4, "validation": 0.6, "test": 0.4}, "fractions must be positive and sum to 1"),
        ({"size": 4, "validation": 0.0}, "fractions must be positive and sum to 1"),
    ],
)
def test_options_that_leave_nothing_are_refused(tmp_path, options, message):
    tree(tmp_path, [f"a/{k}.png" for k in range(10)])
    with pytest.raises(ValueError, match=message):
        image_folder(tmp_path, **options)


def test_an_image_of_the_right_size_is_kept_bit_for_bit(tmp_path, rng):
    array = rng.integers(0, 256, (5, 5, 3), np.uint8)
    np.testing.assert_array_equal(decode(save(tmp_path / "a.png", array), size=5), array)


@pytest.mark.parametrize(("width", "height"), [(40, 40), (60, 40), (40, 60), (15, 10), (200, 8)])
def test_scaling_and_cropping_are_those_of_pillow(tmp_path, width, height):
    path = save(tmp_path / "a.png", smooth(width, height))
    size, shorter = 12, 16
    scale = shorter / min(width, height)
    scaled = Image.open(path).resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (scaled.width - size) // 2, (scaled.height - size) // 2
    expected = np.asarray(scaled.crop((left, top, left + size, top + size))).astype(int)
    assert np.abs(decode(path, size=size, shorter=shorter) - expected).max() <= 1


def test_a_very_long_image_costs_no_more_than_a_square_one(tmp_path):
    path = save(tmp_path / "a.png", np.full((1, 60_000, 3), 7, np.uint8))
    assert np.unique(decode(path, size=256)).tolist() == [7]


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(tmp_path):
    path = save(tmp_path / "a.jpg", smooth(640, 480), quality=95)
    expected = np.asarray(ImageOps.fit(Image.open(path), (32, 32), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decode(path, size=32) - expected).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(tmp_path, rng, orientation):
    array = rng.integers(0, 256, (4, 4, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {
        1: array, 2: array[:, ::-1], 3: array[::-1, ::-1], 4: array[::-1], 5: array.transpose(1, 0, 2),
        6: np.rot90(array, -1), 7: array[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(array),
    }  # fmt: skip
    path = save(tmp_path / "a.png", array, exif=exif)
    np.testing.assert_array_equal(decode(path, size=4), turned[orientation])


GREY = np.array([[0, 255], [128, 7]], np.uint8)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "I;16", "transparent palette"])
def test_other_modes_become_rgb(tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray(GREY.astype(np.uint16) * 256 + 255)
    elif mode == "transparent palette":
        image = Image.fromarray(GREY).convert("P")
        image.info["transparency"] = bytes(range(256))
    else:
        image = Image.fromarray(GREY).convert(mode)
    image.save(tmp_path / "a.png")
    expected = np.where(GREY > 127, 255, 0) if mode == "1" else GREY
    decoded = decode(tmp_path / "a.png", size=2)
    assert decoded.dtype == np.uint8
    if mode == "1":
        assert {*decoded.flat} <= {0, 255}
    else:
        np.testing.assert_array_equal(decoded, np.repeat(expected[..., None], 3, axis=-1))


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    assert np.abs(decode(tmp_path / "a.jpg", size=4).astype(int) - [255, 0, 0]).max() < 10


def test_damaged_and_foreign_files_are_data_errors_that_name_them(tmp_path, rng):
    good = save(tmp_path / "good.jpg", smooth(32, 32)).read_bytes()
    bad = {"cut.jpg": good[: len(good) // 2], "empty.png": b"", "text.png": b"<html>", "head.jpg": good[:30]}
    Image.fromarray(GREY).save(tmp_path / "gif.gif")
    bad["gif.png"] = (tmp_path / "gif.gif").read_bytes()
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=f"{name} must be a readable JPEG, PNG, WebP or BMP image") as caught:
            decode(tmp_path / name, size=4)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="absent"):
        decode(tmp_path / "absent.png", size=4)


@pytest.mark.parametrize(
    ("width", "message"), [(2**13 + 1, "at most 67108864 pixels"), (11_000, "a.png"), (20_000, "a.png")]
)
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, width, message):
    """A header is enough: the pixels that it promises are never there."""
    small = save(tmp_path / "a.png", GREY).read_bytes()
    header = b"IHDR" + width.to_bytes(4, "big") * 2 + small[24:29]
    (tmp_path / "a.png").write_bytes(small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:])
    with pytest.raises(DataError, match=message):
        decode(tmp_path / "a.png", size=4)


def test_random_damage_is_a_data_error_or_an_image(tmp_path, rng):
    for suffix in ("jpg", "png", "webp", "bmp"):
        data = save(tmp_path / f"a.{suffix}", smooth(16, 16)).read_bytes()
        for _ in range(60):
            damaged = bytearray(data)
            for position in rng.integers(0, len(data), 3):
                damaged[position] = rng.integers(256)
            (tmp_path / "b").write_bytes(damaged)
            with suppress(DataError):
                assert decode(tmp_path / "b", size=4).shape == (4, 4, 3)
