"""Annotations of Pascal VOC, good and damaged."""

import numpy as np
import pytest
from PIL import Image

from fjdl.data.blank import blank_data
from fjdl.data.source import to_arrays
from fjdl.data.vision.voc import VOC, image_set, read_voc, voc, voc_segmentation
from fjdl.errors import DataError
from tests.data.vision.files import annotation, box, grey, save, voc_tree, write


def read(tmp_path, text: str, **options):
    return read_voc(write(tmp_path / "a.xml", text), grey(tmp_path / "a.png"), **options)


def test_corners_of_first_and_last_pixels_from_1_become_edges(tmp_path):
    """Pixels 1 to 12 of 12 are the edges 0 and 12; one column of pixels is one pixel wide as in the file."""
    found = read(tmp_path, annotation(box("cat", [1, 1, 12, 8]), box("dog", [3, 2, 4, 5])))
    np.testing.assert_array_equal(found.boxes, [[0, 0, 12, 8], [2, 1, 4, 5]])
    assert (found.names, found.size) == (("cat", "dog"), (8, 12))
    counted = read(tmp_path, annotation(box("cat", ["0.5", 0, 11, 7])), first=0)
    np.testing.assert_array_equal(counted.boxes, [[0.5, 0, 12, 8]])


def test_difficult_may_be_missing_and_parts_of_an_object_are_left_out(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    hard = "<pose>Left</pose><difficult>1</difficult>"
    found = read(tmp_path, annotation(box("person", [2, 2, 9, 7], hard + part), box("cat", [1, 1, 3, 3])))
    assert found.names == ("person", "cat")
    np.testing.assert_array_equal(found.more["difficult"], [True, False])


@pytest.mark.parametrize(("width", "height"), [(0, 0), (12, 0), ("", "")])
def test_a_size_of_0_is_that_of_the_image(tmp_path, width, height):
    assert read(tmp_path, annotation(width=width, height=height)).size == (8, 12)
    assert read(tmp_path, "<annotation/>").size == (8, 12)


def test_an_image_without_objects_has_no_valid_box(tmp_path):
    splits = voc(voc_tree(tmp_path, a=annotation(), b=annotation(box("cat", [1, 1, 4, 4]))), size=(8, 12))
    example = splits.train.element(0)
    assert not example["valid"].any()
    assert not example["boxes"].any()
    assert splits.left_out == ()


def test_a_box_that_reaches_outside_is_clipped_and_one_outside_is_left_out(tmp_path):
    text = annotation(box("cat", [-3, 5, 20, 30]), box("cat", [13, 1, 15, 4]), box("cat", [2, 2, 3, 3]))
    splits = voc(voc_tree(tmp_path, a=text), size=(8, 12))
    example = splits.train.element(0)
    np.testing.assert_array_equal(example["boxes"], [[0, 4, 12, 8], [1, 1, 3, 3]])
    assert len(splits.left_out) == 3  # the image is in three parts
    assert splits.left_out[0].endswith(
        "a.xml, object 2: a box must have an area inside of the image of 12 x 8, got 12 0 15 4, and is left out"
    )


@pytest.mark.parametrize("corners", [[4, 3, 4, 3], [4, 3, 4, 6], [6, 3, 4, 6]])
def test_a_box_without_an_area_as_written_is_left_out(tmp_path, corners):
    text = annotation(box("cat", corners), box("cat", [2, 2, 3, 3]))
    splits = voc(voc_tree(tmp_path, a=text), size=(8, 12))
    np.testing.assert_array_equal(splits.train.element(0)["boxes"], [[1, 1, 3, 3]])
    assert [sentence.split(":")[0].split("/")[-1] for sentence in splits.left_out] == ["a.xml, object 1"] * 3


def test_examples_are_padded_to_the_most_boxes_and_fitted(tmp_path):
    first = annotation(box("dog", [1, 1, 6, 4], "<difficult>1</difficult>"), box("cat", [3, 3, 12, 8]))
    splits = voc(voc_tree(tmp_path, a=first, b=annotation(box("cat", [1, 1, 2, 2]))), size=24, most=3)
    assert (splits.name, splits.classes) == (tmp_path.name, ("cat", "dog"))
    assert splits.train.streamed
    batch = splits.train.element(np.array([[0, 1]]))
    assert {name: (array.shape[2:], array.dtype) for name, array in batch.items()} == {
        "image": ((24, 24, 3), np.uint8),
        "boxes": ((3, 4), np.float32),
        "labels": ((3,), np.int32),
        "valid": ((3,), np.bool_),
        "difficult": ((3,), np.bool_),
        "image_size": ((2,), np.int32),
    }
    first, second = ({name: array[0, k] for name, array in batch.items()} for k in range(2))
    np.testing.assert_array_equal(first["boxes"], [[0, 4, 12, 12], [4, 8, 24, 20], [0] * 4])
    np.testing.assert_array_equal(first["labels"], [1, 0, 0])
    np.testing.assert_array_equal(first["valid"], [True, True, False])
    np.testing.assert_array_equal(first["difficult"], [True, False, False])
    np.testing.assert_array_equal(second["boxes"], [[0, 4, 4, 8], [0] * 4, [0] * 4])
    assert np.unique(first["image"][4:20]).tolist() == [7]
    np.testing.assert_array_equal(first["image_size"], [8, 12])
    stretched = voc(tmp_path, size=24, stretch=True).train.element(0)
    np.testing.assert_array_equal(stretched["boxes"], [[0, 0, 12, 12], [4, 6, 24, 24]])


def test_of_two_parts_validation_is_drawn_from_the_first(tmp_path):
    names = {f"n{k}": annotation(box("cat", [1, 1, 2, 2])) for k in range(10)}
    splits = voc(voc_tree(tmp_path, **names), size=8, parts=("train", "test"), validation=0.2)
    assert [part.length for part in (splits.train, splits.validation, splits.test)] == [8, 2, 10]


NAMED = "<object><name>cat</name>{}</object>"
NO_CORNER = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax></bndbox>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.xml, line 1: the file must be XML, got no element found"),
        ("<annotation><size></annotation>", r"a\.xml, line 1: the file must be XML, got mismatched tag"),
        ("<note/>", r"a\.xml: the root of the file must be <annotation>, got <note>"),
        (annotation(box(" ", [1, 1, 2, 2])), r"a\.xml, object 1: an object must have a <name>, got none"),
        (annotation(NAMED.format("")), r"a\.xml, object 1: an object must have <bndbox/xmin>, got none"),
        (annotation(NAMED.format(NO_CORNER)), r"a\.xml, object 1: an object must have <bndbox/ymax>, got none"),
        (annotation(box("cat", [1, "x", 2, 2])), r"object 1: <bndbox/ymin> must be a number, got 'x'"),
        (annotation(box("cat", [1, "nan", 2, 2])), r"object 1: <bndbox/ymin> must be a number, got 'nan'"),
        (annotation(box("cat", [1, "inf", 2, 2])), r"object 1: <bndbox/ymin> must be a number, got 'inf'"),
        (annotation(width="wide"), r"a\.xml: <size/width> must be a number, got 'wide'"),
        ('<!DOCTYPE a [<!ENTITY e "x">]><annotation>&e;</annotation>', "must not declare a type or entities"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', r"line 1: the document must not declare a type"),
        ("<annotation>&e;</annotation>", "the file must be XML, got undefined entity"),
        ("<annotation>" + "<a>" * 40 + "</a>" * 40 + "</annotation>", "elements must be at most 32 deep, got <a>"),
        ('<?xml version="1.0" encoding="x-none"?><annotation/>', "must be readable XML, got unknown encoding: x-none"),
    ],
)
def test_a_damaged_annotation_is_named_with_its_field(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_huge_or_missing_annotation_is_refused(tmp_path):
    with pytest.raises(DataError, match="the file must have at most 4194304 bytes, got more"):
        read(tmp_path, "<annotation>" + " " * 2**22)
    with pytest.raises(DataError, match=r"none\.xml must be readable XML, got"):
        read_voc(tmp_path / "none.xml", tmp_path / "a.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Annotations/b.xml": "<x"}, r"b\.xml, line 1: the file must be XML"),
        ({"Annotations/b.xml": annotation(box("bird", [1, 1, 2, 2]))}, "object must be one of cat, got 'bird'"),
        ({"JPEGImages/b.png": "no image"}, r"b\.png must be a readable"),
        ({"Annotations/b.xml": annotation(width=8, height=12)}, r"must be that of .*b\.png, 12 x 8, got 8 x 12"),
    ],
)
def test_bad_files_stop_or_are_counted_and_listed(tmp_path, change, message):
    good = annotation(box("cat", [1, 1, 4, 4]))
    voc_tree(tmp_path, a=good, b=good, c=good)
    for name, text in change.items():
        write(tmp_path / name, text)
    with pytest.raises(DataError, match=message):
        to_arrays(voc(tmp_path, size=8, classes=("cat",)).train)
    splits = voc(tmp_path, size=8, classes=("cat",), skip_bad=True)
    assert [part.length for part in (splits.train, splits.validation, splits.test)] == [2, 1, 2]
    assert len(to_arrays(splits.train)["image"]) == 2
    assert len(splits.left_out) == 2
    with pytest.raises(DataError, match=message):
        raise DataError(splits.left_out[0])
    assert splits.left_out[0].endswith("; the image is left out")


def test_a_missing_image_and_more_boxes_than_wanted_are_refused(tmp_path):
    voc_tree(tmp_path, a=annotation(box("cat", [1, 1, 4, 4]), box("cat", [1, 1, 5, 5])))
    with pytest.raises(DataError, match=r"a\.xml: there must be at most 1 boxes, got 2"):
        voc(tmp_path, size=8, most=1)
    (tmp_path / "JPEGImages" / "a.png").unlink()
    with pytest.raises(DataError, match=r"there must be an image a\.jpg or with another known ending, got none"):
        voc(tmp_path, size=8)


def test_lists_name_images_and_lead_to_no_other_folder(tmp_path):
    write(tmp_path / "ImageSets" / "Main" / "cat_train.txt", "a  1\nb -1\n\n")
    assert image_set(tmp_path, "cat_train") == ["a", "b"]
    for text, message in (
        ("../a\n", "line 1: the name of an image must lead to no other"),
        ("\n", "must name an image"),
    ):
        write(tmp_path / "ImageSets" / "Main" / "x.txt", text)
        with pytest.raises(DataError, match=message):
            image_set(tmp_path, "x")
    with pytest.raises(DataError, match=r"none\.txt must be a list of images, got no such file"):
        image_set(tmp_path, "none")


def test_pixels_stay_where_boxes_say_whatever_the_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    voc_tree(tmp_path, a=annotation(box("cat", [1, 1, 4, 4])))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    save(tmp_path / "JPEGImages" / "a.png", pixels, exif=exif)
    np.testing.assert_array_equal(voc(tmp_path, size=(8, 12)).train.element(0)["image"], pixels)


def test_masks_of_segmentation_are_places_in_the_palette_with_255_void(tmp_path):
    mask = np.zeros((8, 12), np.uint8)
    mask[:4], mask[4] = 15, 255
    picture = Image.fromarray(mask).convert("P")
    picture.putpalette([value for k in range(256) for value in (255 - k, k, 77)])
    picture.putdata(mask.ravel().tolist())
    (tmp_path / "SegmentationClass").mkdir(parents=True)
    picture.save(tmp_path / "SegmentationClass" / "a.png")
    grey(tmp_path / "JPEGImages" / "a.jpg")
    for part in ("train", "val", "test"):
        write(tmp_path / "ImageSets" / "Segmentation" / f"{part}.txt", "a\n")
    splits = voc_segmentation(tmp_path, size=(8, 12), parts=("train", "val", "test"))
    np.testing.assert_array_equal(splits.train.element(0)["mask"], mask)
    assert (len(splits.classes), splits.classes[15]) == (21, "person")
    assert len(VOC) == 20


def test_without_files_shapes_can_be_had():
    with blank_data(images=(6, 2), classes=3) as made_up:
        boxes, masks = voc("nowhere", size=8, most=5), voc_segmentation("nowhere", size=8)
    assert made_up == ["nowhere"]
    assert boxes.train.element(np.arange(2))["boxes"].shape == (2, 5, 4)
    assert boxes.train.element(0)["difficult"].shape == (5,)
    assert masks.test.element(0)["mask"].shape == (8, 8)
    with pytest.raises(DataError, match="must be a list of images, got no such file"):
        voc("nowhere", size=8)
