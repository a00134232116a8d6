"""Labels of YOLO and tables of boxes, good and damaged."""

import numpy as np
import pytest

from fjdl.data.blank import blank_data
from fjdl.data.vision import read_classes, read_yolo
from fjdl.data.vision.box_tables import box_tables
from fjdl.data.vision.yolo import yolo
from fjdl.errors import DataError
from tests.data.vision.files import grey, write


def tree(root, labels="1 0.5 0.5 0.5 0.25\n\n0 0.25 0.25 0.5 0.5\n"):
    write(root / "classes.txt", "cat\ndog\n\n")
    for part in ("train", "val", "test"):
        grey(root / "images" / part / "a.png")
        grey(root / "images" / part / "deep" / "b.png")
        write(root / "labels" / part / "a.txt", labels)
    return root


def test_parts_of_sides_become_corners_in_pixels(tmp_path):
    splits = yolo(tree(tmp_path), size=(8, 12))
    assert splits.classes == ("cat", "dog")
    example = splits.train.element(0)
    np.testing.assert_array_equal(example["boxes"], [[3, 3, 9, 5], [0, 0, 6, 4]])
    np.testing.assert_array_equal(example["labels"], [1, 0])
    doubled = yolo(tmp_path, size=24).validation.element(0)
    np.testing.assert_array_equal(doubled["boxes"], [[6, 10, 18, 14], [0, 4, 12, 12]])


def test_an_image_without_a_file_of_labels_has_no_objects(tmp_path):
    assert not yolo(tree(tmp_path), size=8).train.element(1)["valid"].any()


def test_boxes_are_clipped_and_those_without_an_area_left_out(tmp_path):
    splits = yolo(tree(tmp_path, "0 0 0 0.5 0.5\n0 0.5 0.5 0 0.5\n"), size=(8, 12))
    np.testing.assert_array_equal(splits.train.element(0)["boxes"], [[0, 0, 3, 2]])
    assert "a.txt, object 2: a box must have an area" in splits.left_out[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.5\n", r"a\.txt, line 1: a line must hold a class and 4 numbers, got 4 fields"),
        ("\n2 0.5 0.5 0.5 0.5\n", r"a\.txt, line 2: the class must be a number in \[0, 2\), got '2'"),
        ("-1 0.5 0.5 0.5 0.5\n", r"line 1: the class must be a number in \[0, 2\), got '-1'"),
        ("1.0 0.5 0.5 0.5 0.5\n", "line 1: the class must be a number"),
        ("0 0.5 1.5 0.5 0.5\n", r"line 1: a coordinate must be a number in \[0, 1\], got '1.5'"),
        ("0 0.5 nan 0.5 0.5\n", "line 1: a coordinate must be a number"),
        ("0 0.5 x 0.5 0.5\n", r"line 1: a coordinate must be a number in \[0, 1\], got 'x'"),
    ],
)
def test_damaged_lines_are_named_and_skipped(tmp_path, text, message):
    tree(tmp_path)
    write(tmp_path / "labels" / "val" / "a.txt", text)
    with pytest.raises(DataError, match=message):
        read_yolo(tmp_path / "labels" / "val" / "a.txt", tmp_path / "images" / "val" / "a.png", classes=("cat", "dog"))
    splits = yolo(tmp_path, size=8, skip_bad=True)
    assert (splits.train.length, splits.validation.length, len(splits.left_out)) == (2, 1, 1)


def test_lists_of_classes(tmp_path):
    for text in ("", "a\n\nb\n", "a\na\n"):
        with pytest.raises(DataError, match=r"c\.txt: each line must be a name of its own"):
            read_classes(write(tmp_path / "c.txt", text))
    with pytest.raises(DataError, match="must be a list of classes, got no such file"):
        yolo(tmp_path, size=8)


def tables(root, text):
    for part in ("train", "val", "test"):
        write(root / f"{part}.csv", text)
    for name in ("a", "b", "c"):
        grey(root / "pictures" / f"{name}.png")
    return root


HEAD = "image,x0,y0,x1,y1,label\n"
ROWS = HEAD + "pictures/b.png,1,2,4,5,dog\npictures/a.png,,,,,\npictures/b.png,0.5,0,20,3,cat\n"


def test_rows_of_a_table_are_gathered_by_image(tmp_path):
    splits = box_tables(tables(tmp_path, ROWS), size=(8, 12))
    assert (splits.classes, splits.train.length) == (("cat", "dog"), 2)
    example = splits.train.element(0)
    np.testing.assert_array_equal(example["boxes"], [[1, 2, 4, 5], [0.5, 0, 12, 3]])
    np.testing.assert_array_equal(example["labels"], [1, 0])
    assert not splits.train.element(1)["valid"].any()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("pictures/c.png,1,x,3,4,cat\n", r"train\.csv, row 4: the corners must be numbers, got \['1', 'x', '3', '4'\]"),
        ("pictures/c.png,4,2,3,4,cat\n", "row 4: a row must hold corners that ascend and a label"),
        ("pictures/c.png,1,2,3,4,\n", "row 4: a row must hold corners that ascend and a label"),
        ("pictures/c.png,1,nan,3,4,cat\n", r"image pictures/c\.png: the coordinates of a box must be finite"),
        ("../c.png,1,2,3,4,cat\n", r"row 4: the image must be in the table's folder, got '\.\./c\.png'"),
        ("pictures/d.png,1,2,3,4,cat\n", r"d\.png must be a readable"),
    ],
)
def test_bad_rows_are_named_and_skipped(tmp_path, row, message):
    tables(tmp_path, ROWS + row)
    with pytest.raises(DataError, match=message):
        box_tables(tmp_path, size=8)
    splits = box_tables(tmp_path, size=8, skip_bad=True)
    assert (splits.train.length, len(splits.left_out)) == (2, 3)


def test_a_table_must_be_there_with_its_columns(tmp_path):
    with pytest.raises(DataError, match=r"train\.csv must be a table of boxes, got no such file"):
        box_tables(tmp_path, size=8)
    with pytest.raises(DataError, match="the table must have a column 'label'"):
        box_tables(tables(tmp_path, "image,x0,y0,x1,y1\n"), size=8)
    other = ROWS.replace("label", "class")
    splits = box_tables(tables(tmp_path, other), size=8, columns=("image", "x0", "y0", "x1", "y1", "class"))
    assert splits.train.length == 2


def test_without_files_shapes_can_be_had():
    with blank_data(images=(6, 2), classes=3):
        for splits in (yolo("nowhere", size=8, most=5), box_tables("nowhere", size=8, most=5)):
            assert splits.train.element(np.arange(2))["boxes"].shape == (2, 5, 4)
