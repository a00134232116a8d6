"""Files of boxes and masks with random damage: an error that names the file, or what the format means."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as peer
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from fjdl.data.vision import (
    decode_run_lengths,
    encode_run_lengths,
    expanded,
    polygon_mask,
    read_coco,
    read_drawings,
    read_mask,
    read_voc,
    read_yolo,
)
from fjdl.data.vision.objects import clipped
from fjdl.errors import DataError
from tests.data.vision.files import annotation, box, grey, save
from tests.data.vision.test_coco import CONTENT
from tests.data.vision.test_data_sets import archive

pytestmark = [
    pytest.mark.fuzz,
    # pycocotools decodes with an `__array__` of before NumPy 2
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]

run = settings(
    max_examples=1000, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
VOC = annotation(box("cat", [1, 2, 9, 7], "<difficult>1</difficult>"), box("dog", [3, 3, 12, 8])).encode()
BYTES = st.one_of(st.integers(0, 255), st.sampled_from(b"<>&/-0.9\n\"'[]{},:x"))
EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from("srd"), BYTES), min_size=1, max_size=6)
NUMBERS = st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.floats(-20, 60), st.none(), st.text(max_size=3))
JSON = st.recursive(NUMBERS, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=3), each))
COORDINATES = st.one_of(st.floats(-8, 40), st.integers(-8, 40).map(float), st.sampled_from([0.1, 0.3, 0.5, 11.9]))


def damaged(content: bytes, edits: Any) -> bytes:
    """Bytes that are set, repeated or dropped."""
    changed = bytearray(content)
    for share, kind, byte in edits:
        place = int(share * len(changed)) if changed else 0
        if kind == "s" and changed:
            changed[place] = byte
        elif kind == "r":
            changed[place:place] = changed[place : place + 8] or bytes([byte])
        else:
            del changed[place : place + 3]
    return bytes(changed)


def in_one_line(error: DataError, path: Path) -> None:
    assert str(path) in str(error)
    assert "\n" not in str(error)


def checked(path: Path, read: Any) -> None:
    """Reads; whatever comes out has boxes inside of the image, whatever is raised names the file."""
    try:
        [objects] = clipped(read()).images
    except DataError as error:
        return in_one_line(error, path)
    height, width = objects.size
    assert np.all(objects.boxes[:, :2] >= 0)
    assert np.all(objects.boxes[:, 2:] <= [width, height])
    assert np.all(objects.boxes[:, 2:] > objects.boxes[:, :2])
    assert len(objects.names) == len(objects.boxes) == len(objects.more.get("difficult", objects.boxes))
    return None


@run
@given(EDITS)
def test_damaged_annotations_of_voc(tmp_path: Path, edits: Any) -> None:
    image, path = grey(tmp_path / "a.png"), tmp_path / "a.xml"
    path.write_bytes(damaged(VOC, edits))
    checked(path, lambda: read_voc(path, image))


@run
@given(EDITS)
def test_damaged_labels_of_yolo(tmp_path: Path, edits: Any) -> None:
    image, path = grey(tmp_path / "a.png"), tmp_path / "a.txt"
    path.write_bytes(damaged(b"0 0.5 0.5 0.25 0.5\n1 0.25 0.5 1.0 1e-3\n", edits))
    checked(path, lambda: read_yolo(path, image, classes=("cat", "dog")))


@run
@given(EDITS)
def test_damaged_bytes_of_coco(tmp_path: Path, edits: Any) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(damaged(json.dumps(CONTENT).encode(), edits))
    coco(path)


@run
@given(st.data())
def test_other_values_in_the_fields_of_coco(tmp_path: Path, data: Any) -> None:
    content = json.loads(json.dumps(CONTENT))
    part = content[data.draw(st.sampled_from(sorted(content)))]
    entry = data.draw(st.sampled_from(part))
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(JSON)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    coco(path)


def coco(path: Path) -> None:
    try:
        file = read_coco(path)
    except DataError as error:
        return in_one_line(error, path)
    for image in file.images:
        checked(path, lambda image=image: file.objects(path.parent, image))
        if image.size[0] * image.size[1] < 10_000:
            with suppress(DataError):
                assert set(np.unique(file.masks(image))) <= {0, 1}
    return None


@run
@given(st.lists(COORDINATES, min_size=6, max_size=24), st.integers(1, 30), st.integers(1, 30))
def test_polygons_beside_pycocotools(points: list[float], height: int, width: int) -> None:
    points = points[: len(points) // 2 * 2]
    [theirs] = peer.frPyObjects([points], height, width)
    np.testing.assert_array_equal(polygon_mask(points, (height, width)), peer.decode(theirs))


@run
@given(st.binary(max_size=12))
def test_any_string_of_run_lengths(text: bytes) -> None:
    with suppress(DataError):
        counts = expanded(text)
        mask = decode_run_lengths({"size": [1, max(sum(counts), 1)], "counts": text})
        assert int(mask.sum()) == sum(counts[1::2])
        np.testing.assert_array_equal(decode_run_lengths(encode_run_lengths(mask)), mask)


@run
@given(EDITS)
def test_damaged_masks_and_archives(tmp_path: Path, edits: Any) -> None:
    good = save(tmp_path / "good.png", np.arange(96, dtype=np.uint8).reshape(8, 12) % 5).read_bytes()
    path = tmp_path / "a.png"
    path.write_bytes(damaged(good, edits))
    try:
        assert read_mask(path, classes=5).max() < 5
    except DataError as error:
        in_one_line(error, path)
    if not (tmp_path / "good.zip").is_file():
        archive(tmp_path / "good.zip", ["A/c1", "B/c2"], drawings=1)
    path = tmp_path / "a.zip"
    path.write_bytes(damaged((tmp_path / "good.zip").read_bytes(), edits))
    try:
        assert read_drawings(path, size=5).images.shape[1:] == (5, 5, 1)
    except DataError as error:
        in_one_line(error, path)


@run
@given(st.sampled_from(["1", "L", "P"]), st.integers(0, 255))
def test_every_value_of_a_mask_is_a_class_or_is_named(tmp_path: Path, mode: str, value: int) -> None:
    path = tmp_path / "a.png"
    picture = Image.new(mode, (3, 2), value)
    if mode == "P":
        picture.putpalette(bytes(range(256)) * 3)  # without one Pillow writes fewer bits than the value needs
    picture.save(path)
    stored = int(value != 0) if mode == "1" else value
    if stored < 7:
        assert read_mask(path, classes=7).tolist() == [[stored] * 3] * 2
    else:
        with pytest.raises(DataError, match=f"row 0, column 0: the value of a pixel must be one of .*, got {value}"):
            read_mask(path, classes=7)
