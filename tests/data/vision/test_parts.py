"""What data sets of images are made of: files, examples and parts."""

import numpy as np
import pytest

from fjdl.data.image_folder import image_folder
from fjdl.data.source import Splits, from_arrays, one_by_one, to_arrays
from fjdl.data.splits import readable, without_bad
from fjdl.data.vision import (
    Objects,
    gather,
    in_memory,
    object_source,
    object_splits,
    read_xml,
    segment_source,
    single_objects,
    three_parts,
)
from fjdl.errors import DataError
from tests.data.vision.files import grey, save, write


def described(path, **change) -> Objects:
    image = grey(path / "a.png")
    boxes = np.array([[1, 1, 4, 4], [5, 2, 9, 6]], np.float64)
    return Objects(image, "a.txt", (8, 12), boxes, ("cat", "dog"))._replace(**change)


def test_boxes_of_any_file_become_a_data_set(tmp_path):
    part = gather([0, 1, 2], lambda _: described(tmp_path), classes=("cat", "dog"))
    assert (len(part.images), part.left_out) == (3, ())
    source = object_source(part.images, classes=("dog", "cat"), most=2, size=(8, 12))
    np.testing.assert_array_equal(source.element(0)["labels"], [1, 0])
    splits = in_memory(object_splits("mine", [part, part], size=(8, 12), validation=0.4))
    assert [splits.train.length, splits.validation.length, splits.test.length] == [2, 1, 3]
    assert (splits.classes, splits.train.streamed) == (("cat", "dog"), False)
    with pytest.raises(DataError, match=r"^a\.txt: the name of an object must be one of cat, got 'dog'"):
        gather([0], lambda _: described(tmp_path), classes=("cat",))
    with pytest.raises(DataError, match=r"^mine: each part must hold an image, got none in part 1"):
        three_parts("mine", [part_of(0), part_of(2)], classes=("cat",), validation=0.5, split_seed=0)
    with pytest.raises(DataError, match=r"the coordinates of a box must be finite"):
        gather([0], lambda _: described(tmp_path, boxes=np.full((2, 4), np.nan)))


def part_of(length: int):
    return from_arrays({"x": np.arange(length)})


def test_the_first_object_of_each_image_stands_alone():
    """Of 20 x 40 pixels, with the second box as the first that is there."""
    arrays = {
        "image": np.zeros((2, 20, 40, 1), np.uint8),
        "boxes": np.float32([[[0, 0, 0, 0], [10, 5, 30, 10]], [[0, 0, 40, 20], [1, 1, 2, 2]]]),
        "labels": np.int32([[0, 3], [1, 2]]),
        "valid": np.array([[False, True], [True, True]]),
        "image_id": np.int32([7, 8]),
    }
    source = from_arrays(arrays)
    single = single_objects(Splits(name="toy", train=source, validation=source, test=source, classes=tuple("abcd")))
    found = single.train.element(np.arange(2))
    assert sorted(found) == ["box", "image", "image_id", "label"]
    assert (found["label"].tolist(), found["label"].dtype, found["box"].dtype) == ([3, 1], np.int32, np.float32)
    np.testing.assert_allclose(found["box"], [[0.5, 0.375, 0.5, 0.25], [0.5, 0.5, 1, 1]])
    np.testing.assert_array_equal(single.test.element(0)["box"], found["box"][0])
    empty = from_arrays({**arrays, "valid": np.array([[True, True], [False, False]])})
    bad = single_objects(Splits(name="toy", train=empty, validation=source, test=source, classes=()))
    assert bad.train.element(0)["label"] == 0
    with pytest.raises(DataError, match=r"^toy: each image must have an object, got one without$"):
        bad.train.element(1)


def test_masks_of_any_file_become_examples(tmp_path):
    mask = save(tmp_path / "m.png", np.eye(8, 12).astype(np.uint8))
    source = segment_source([(grey(tmp_path / "a.png"), mask)], classes=2, size=(8, 12))
    np.testing.assert_array_equal(source.element(0)["mask"], np.eye(8, 12))


def test_xml_keeps_texts_attributes_and_order(tmp_path):
    root = read_xml(write(tmp_path / "a.xml", "<!-- note --><a k='1'>x &amp; &#233;<b/><b>2</b></a>"))
    assert (root.tag, root.attrib, root.text, [each.text for each in root]) == ("a", {"k": "1"}, "x & é", [None, "2"])


def test_examples_are_made_one_by_one_in_the_shape_of_the_index():
    made = []
    source = one_by_one(4, lambda number: made.append(number) or {"x": np.full(2, number)})
    assert source.streamed
    np.testing.assert_array_equal(source.element(np.array([[3, 1]]))["x"], [[[3, 3], [1, 1]]])
    np.testing.assert_array_equal(source.element(-1)["x"], [3, 3])
    assert made == [3, 1, 3]
    assert source.element(np.zeros(0, int))["x"].shape == (0, 2)
    for index in (4, np.array([0, 4])):
        with pytest.raises(IndexError):
            source.element(index)


def test_what_cannot_be_read_is_told_and_left_out():
    def one(number: int):
        if number in (1, 3):
            raise DataError(f"file {number}: it must be whole, got half")
        return {"x": np.array(number)}

    source = one_by_one(5, one)
    good, faults = readable(source)
    np.testing.assert_array_equal(good, [0, 2, 4])
    assert faults == tuple(f"file {k}: it must be whole, got half; example {k} is left out" for k in (1, 3))
    splits = three_parts("mine", [source, part_of(2), part_of(2)], classes=(), validation=0.0, split_seed=0)
    kept = without_bad(splits)
    np.testing.assert_array_equal(to_arrays(kept.train)["x"], [0, 2, 4])
    assert (kept.left_out, kept.test) == (faults, splits.test)


def test_a_folder_of_classes_leaves_out_damaged_images(tmp_path):
    for part in ("train", "val", "test"):
        for number in range(3):
            grey(tmp_path / part / "a" / f"{number}.png")
    (tmp_path / "train" / "a" / "1.png").write_bytes(b"x")
    splits = image_folder(tmp_path, size=4, skip_bad=True)
    assert [splits.train.length, splits.test.length, len(splits.left_out)] == [2, 3, 1]
    assert "train/a/1.png must be a readable" in splits.left_out[0]
    assert image_folder(tmp_path, size=4).left_out == ()
