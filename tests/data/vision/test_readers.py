"""Files that are in no part of a data set: read as its examples are, and what is found goes back to their pixels."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fjdl.data.blank import blank_data
from fjdl.data.embedded import digits
from fjdl.data.image_folder import decode, image_folder, square_reader
from fjdl.data.source import Picture
from fjdl.data.vision import fit_boxes, fit_image, fitted_reader, placement, unfit_boxes
from fjdl.data.vision.digit_scenes import digit_scenes
from fjdl.data.vision.masks import mask_folder
from fjdl.errors import DataError
from tests.house.test_own_tests import data_sets

SIZES = [(40, 40), (80, 100), (16, 60), (33, 21), (50, 75)]


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 75, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    return tmp_path / "photograph.png"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stretch", [True, False])
def test_boxes_and_masks_go_back_through_a_letterbox(photograph: Path, size: tuple[int, int], stretch: bool) -> None:
    """Boxes as `unfit_boxes` does; masks as Pillow resizes what lies between the margins.

    Where a centre lies between two pixels, Pillow's sums of steps may end on either side.
    """
    pixels = np.asarray(Image.open(photograph))
    found = fitted_reader(size, stretch=stretch)(photograph)
    np.testing.assert_array_equal(found.original, pixels)
    np.testing.assert_array_equal(found.example["image"], fit_image(pixels, size, stretch=stretch))
    assert found.example["image_size"].tolist() == [50, 75]
    boxes = np.array([[15, 10, 60, 30], [0, 0, 75, 50], [-9, 3, 99, 44]], np.float64)
    seen = fit_boxes(boxes, (50, 75), size, stretch=stretch)
    np.testing.assert_allclose(found.boxes(seen), unfit_boxes(seen, (50, 75), size, stretch=stretch), atol=1e-4)
    np.testing.assert_allclose(found.boxes(seen), np.clip(boxes, 0, [75, 50, 75, 50]), atol=1e-4)
    mask = np.random.default_rng(1).integers(0, 9, size, np.uint8)
    top, left, height, width = placement((50, 75), size, stretch=stretch)
    inner = Image.fromarray(mask[top : top + height, left : left + width])
    expected = np.asarray(inner.resize((75, 50), Image.Resampling.NEAREST))
    rows, columns = ((np.arange(n) * 2 + 1) * m % (2 * n) != 0 for n, m in ((50, height), (75, width)))
    assert rows.sum() * columns.sum() >= 50 * 25
    np.testing.assert_array_equal(found.mask(mask)[rows][:, columns], expected[rows][:, columns])


def test_boxes_and_masks_go_back_by_hand() -> None:
    """An example of 4 x 4 pixels shows rows -2 to 6 and columns 2 to 10 of an image of 4 x 12, two to a pixel."""
    example = {"image": np.zeros((4, 4, 1), np.uint8)}
    picture = Picture(example, np.zeros((4, 12, 3), np.uint8), (2.0, -2.0, 10.0, 6.0))
    np.testing.assert_array_equal(picture.boxes(np.array([[0, 0, 1, 2], [1, 1, 4, 4]])), [[2, 0, 4, 2], [4, 0, 10, 4]])
    mask = np.arange(16, dtype=np.uint8).reshape(4, 4)
    row = [255, 255, 4, 4, 5, 5, 6, 6, 7, 7, 255, 255]
    other = [255, 255, 8, 8, 9, 9, 10, 10, 11, 11, 255, 255]
    np.testing.assert_array_equal(picture.mask(mask), [row, row, other, other])
    assert picture.mask(mask, outside=77)[0, 0] == 77
    assert picture.boxes(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("turned", [False, True])
def test_the_central_square_is_that_of_the_training_images(photograph: Path, turned: bool) -> None:
    """With `shorter` 12 a square of 10 is 10 / 12 of the shorter side, which has 50 pixels, in the centre."""
    upright = Image.open(photograph)
    if turned:
        exif = Image.Exif()
        exif[0x0112] = 6
        upright.save(photograph, exif=exif)
        upright = upright.transpose(Image.Transpose.ROTATE_270)
    found = square_reader(size=10, shorter=12)(photograph)
    np.testing.assert_array_equal(found.example["image"], decode(photograph, size=10, shorter=12))
    np.testing.assert_array_equal(found.original, np.asarray(upright))
    height, width = found.original.shape[:2]
    side = 50 * 10 / 12
    expected = [(width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2]
    np.testing.assert_allclose(found.window, expected)
    np.testing.assert_allclose(found.boxes(np.array([[0, 0, 10, 10]])), [expected])


def test_a_digit_in_a_file_is_counted_as_the_data_set_counts_ink(tmp_path: Path) -> None:
    splits = digits()
    image = splits.test.element(3)["image"]
    Image.fromarray((image[..., 0] * (255 / 16)).round().astype(np.uint8)).save(tmp_path / "digit.png")
    assert splits.reader is not None
    np.testing.assert_array_equal(splits.reader(tmp_path / "digit.png").example["image"], image)


def test_grey_images_are_read_grey_and_shown_in_colour(tmp_path: Path, photograph: Path) -> None:
    reader = digit_scenes().reader
    assert reader is not None
    found = reader(photograph)
    grey = np.asarray(Image.open(photograph).convert("L"))
    np.testing.assert_array_equal(found.original, np.repeat(grey[..., None], 3, axis=2))
    assert found.example["image"].shape == (64, 64, 1)
    assert not found.example["image"][:10].any()  # margins are black, as the scenes are
    square = square_reader(size=50, channels=1)(photograph).example["image"]
    np.testing.assert_array_equal(square[..., 0], np.asarray(Image.fromarray(decode(photograph, size=50)).convert("L")))


def test_data_sets_of_folders_read_files_as_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        for name, shape in (("images", (6, 9, 3)), ("masks", (6, 9))):
            (tmp_path / name / part).mkdir(parents=True)
            Image.fromarray(rng.integers(0, 2, shape, np.uint8)).save(tmp_path / name / part / "a.png")
    splits = mask_folder(tmp_path, size=(8, 8), classes=("a", "b"))
    assert splits.reader is not None
    found = splits.reader(tmp_path / "images" / "test" / "a.png")
    np.testing.assert_array_equal(found.example["image"], splits.test.element(0)["image"])
    files = [tmp_path / "classes" / name / f"{k}.png" for name in "ab" for k in range(10)]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8)).save(file)
    folder = image_folder(tmp_path / "classes", size=5)
    assert folder.reader is not None
    read = {folder.reader(file).example["image"].tobytes() for file in files}
    assert {folder.test.element(k)["image"].tobytes() for k in range(folder.test.length)} <= read


@pytest.mark.parametrize("reader", [square_reader(size=8), fitted_reader((8, 8))], ids=["square", "fitted"])
def test_a_damaged_or_missing_file_is_one_sentence(tmp_path: Path, reader) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    for name in ("torn.png", "absent.png"):
        with pytest.raises(
            DataError, match=rf"^{tmp_path / name} must be a readable JPEG, PNG, WebP or BMP image, got"
        ):
            reader(tmp_path / name)


@pytest.mark.by_day_on_pin(1)
def test_every_data_set_of_images_reads_files_into_the_shape_of_its_examples(
    photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But Omniglot, whose drawings are compared and not named."""
    monkeypatch.delenv("FJDL_DATA_DIR", raising=False)
    monkeypatch.setenv("FJDL_CACHE_DIR", str(tmp_path))
    given = {"path": "nowhere", "size": 32, "classes": ("a", "b")}
    others = (
        "fjdl.data.language.",
        "fjdl.data.sentences.",
        "fjdl.data.translation.",
        "fjdl.data.splits.",
        "fjdl.data.own.",
    )
    seen = []
    for name, function in data_sets().items():
        options = inspect.signature(function).parameters.keys() & {"path", "size"}
        if "mask_folder" in name or "yolo" in name:
            options |= {"classes"}
        if name.startswith((*others, "fjdl.data.vision.parts.")) or name.endswith((".standardize", ".omniglot")):
            continue
        with blank_data(images=(24, 4), classes=2):
            splits = function(**{option: given[option] for option in options})
        if "image" in (example := splits.test.element(0)):
            assert splits.reader is not None, name
            image = splits.reader(photograph).example["image"]
            assert (image.shape, image.dtype) == (example["image"].shape, example["image"].dtype), name
            seen.append(name)
    assert len(seen) >= 16
