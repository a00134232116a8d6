"""Annotations and results of COCO against pycocotools, and damaged files."""

import json
from copy import deepcopy

import numpy as np
import pytest
from pycocotools.coco import COCO

from fjdl.data.blank import blank_data
from fjdl.data.source import to_arrays
from fjdl.data.vision import (
    class_mask,
    coco_results,
    compressed,
    encode_run_lengths,
    read_coco,
    unfit_boxes,
    write_coco_results,
)
from fjdl.data.vision.coco import coco, coco_segmentation
from fjdl.errors import DataError
from tests.data.vision.files import grey, write

# pycocotools decodes with an `__array__` of before NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

RUNS = encode_run_lengths(np.pad(np.ones((3, 4), np.uint8), ((4, 1), (6, 2))))
SQUARE, CORNER = [1, 1, 4, 1, 4, 5, 1, 5], [3, 4, 6, 4, 6, 7, 3, 7]
CONTENT = {
    "images": [
        {"id": 90, "file_name": "a.png", "height": 8, "width": 12},
        {"id": 7, "file_name": "deep/b.png", "height": 8, "width": 12},
    ],
    "annotations": [
        {"id": 1, "image_id": 90, "category_id": 18, "bbox": [1, 1, 3, 4], "area": 12, "segmentation": [SQUARE]},
        {"id": 2, "image_id": 90, "category_id": 3, "bbox": [6, 4, 4, 3], "iscrowd": 1, "segmentation": RUNS},
        {"id": 3, "image_id": 90, "category_id": 18, "bbox": [3, 4, 3, 3.5], "area": 9, "segmentation": [CORNER]},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 11, "name": "hydrant"}],
}


def tree(root, content=CONTENT, parts=("train2017", "val2017")):
    for part in parts:
        write(root / "annotations" / f"instances_{part}.json", json.dumps(content))
        grey(root / part / "a.png")
        grey(root / part / "deep" / "b.png")
    return root


def test_numbers_of_categories_with_gaps_become_dense_and_go_back(tmp_path):
    splits = coco(tree(tmp_path), size=(8, 12), validation=0.5)
    assert (splits.classes, splits.category_ids) == (("car", "hydrant", "dog"), (3, 11, 18))
    example = splits.test.element(0)
    np.testing.assert_array_equal(example["labels"], [2, 0, 2])
    np.testing.assert_array_equal(example["boxes"], [[1, 1, 4, 5], [6, 4, 10, 7], [3, 4, 6, 7.5]])
    np.testing.assert_array_equal(example["crowd"], [False, True, False])
    np.testing.assert_array_equal(example["area"], [12, 12, 9])
    assert (example["image_id"], example["image_id"].dtype, example["area"].dtype) == (90, np.int32, np.float32)


def test_an_image_without_annotations_stays(tmp_path):
    splits = coco(tree(tmp_path), size=16, validation=0.5)
    example = splits.test.element(1)
    assert (example["image_id"], example["valid"].any(), example["boxes"].any()) == (7, False, False)
    assert sorted(int(part.element(0)["image_id"]) for part in (splits.train, splits.validation)) == [7, 90]


def test_areas_grow_with_the_image(tmp_path):
    fitted = coco(tree(tmp_path), size=24, validation=0.5).test.element(0)
    np.testing.assert_array_equal(fitted["boxes"][0], [2, 6, 8, 14])
    np.testing.assert_array_equal(fitted["area"], [48, 48, 36])


def test_masks_are_those_of_pycocotools(tmp_path):
    path = write(tmp_path / "a.json", json.dumps(CONTENT))
    file, peer = read_coco(path), COCO(str(path))
    first, second = file.images
    masks = file.masks(first)
    for mask, annotation in zip(masks, peer.loadAnns(peer.getAnnIds(90)), strict=True):
        np.testing.assert_array_equal(mask, peer.annToMask(annotation))
    assert file.masks(second).shape == (0, 8, 12)


def test_several_polygons_and_compressed_run_lengths_are_one_mask(tmp_path):
    content = deepcopy(CONTENT)
    content["annotations"][0]["segmentation"] = [SQUARE, CORNER]
    content["annotations"][1]["segmentation"] = {**RUNS, "counts": compressed(RUNS["counts"])}
    path = write(tmp_path / "a.json", json.dumps(content))
    file, peer = read_coco(path), COCO(str(path))
    for mask, annotation in zip(file.masks(file.images[0]), peer.loadAnns([1, 2, 3]), strict=True):
        np.testing.assert_array_equal(mask, peer.annToMask(annotation))


def test_of_classes_of_pixels_overlaps_and_crowds_are_void(tmp_path):
    splits = coco_segmentation(tree(tmp_path), size=(8, 12), validation=0.5)
    assert (splits.classes, splits.category_ids) == (("background", "car", "hydrant", "dog"), (0, 3, 11, 18))
    expected = np.zeros((8, 12), np.uint8)
    expected[1:5, 1:4] = expected[4:7, 3:6] = 3
    expected[4, 3] = expected[4:7, 6:10] = 255
    np.testing.assert_array_equal(splits.test.element(0)["mask"], expected)
    assert not splits.test.element(1)["mask"].any()
    file = read_coco(tmp_path / "annotations" / "instances_val2017.json")
    np.testing.assert_array_equal(class_mask(file, file.images[0]), expected)


def test_results_are_read_by_pycocotools_and_hit_their_boxes(tmp_path):
    splits = coco(tree(tmp_path), size=(40, 24), validation=0.5)
    found = to_arrays(splits.test)
    boxes = np.stack(
        [unfit_boxes(b, tuple(s), (40, 24)) for b, s in zip(found["boxes"], found["image_size"], strict=True)]
    )
    scores = np.array([[0.5, 0.25, 0.125]] * 2, np.float32)
    ids = {"image_ids": found["image_id"], "category_ids": splits.category_ids}
    results = coco_results(boxes, scores, found["labels"], found["valid"], **ids)
    write_coco_results(tmp_path / "results.json", results)
    truth = COCO(str(tmp_path / "annotations" / "instances_val2017.json"))
    read = truth.loadRes(str(tmp_path / "results.json")).loadAnns([1, 2, 3])
    for ours, theirs in zip(read, truth.loadAnns([1, 2, 3]), strict=True):
        np.testing.assert_allclose(ours["bbox"], theirs["bbox"], atol=1e-5)
        assert (ours["image_id"], ours["category_id"]) == (90, theirs["category_id"])
    assert [each["score"] for each in read] == [0.5, 0.25, 0.125]
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 1\), got 2"):
        coco_results(boxes, scores, found["labels"], found["valid"], image_ids=found["image_id"], category_ids=[3])
    assert coco_results(boxes, scores, found["labels"], np.zeros((2, 3), bool), **ids) == []


DELETED = object()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("images",), DELETED, r"a\.json: images must be a list of objects, got None"),
        (("images", 0), 5, "images must be a list of objects"),
        (("images", 0, "id"), DELETED, r"a\.json, images\[0\]: the id must be a whole number of its own, got None"),
        (("images", 0, "id"), 7, r"images\[1\]: the id must be a whole number of its own, got 7"),
        (("images", 0, "id"), 2**40, r"images\[0\]: the id must be a whole number of its own"),
        (
            ("images", 0, "file_name"),
            "../a.png",
            "image 90: the file_name must lead to no other folder, got '../a.png'",
        ),
        (("images", 0, "file_name"), "/a.png", "image 90: the file_name must lead to no other folder"),
        (("images", 0, "file_name"), 3, "image 90: the file_name must be a text, got 3"),
        (("images", 0, "width"), 0, r"image 90: height and width must be positive numbers, got \[8, 0\]"),
        (("categories", 0, "name"), "car", r"a\.json: the names of categories must differ"),
        (("annotations", 0, "image_id"), 5, r"a\.json, annotation 1: the image_id must be one of the file's, got 5"),
        (("annotations", 0, "image_id"), [5], "annotation 1: the image_id must be one of the file's"),
        (
            ("annotations", 0, "category_id"),
            DELETED,
            "annotation 1: the category_id must be one of the file's, got None",
        ),
        (("annotations", 0, "bbox"), DELETED, "image 90, annotation 1: the bbox must hold 4 finite numbers, got None"),
        (("annotations", 0, "bbox"), [1, 2, 3], "annotation 1: the bbox must hold 4 finite numbers"),
        (("annotations", 0, "bbox"), [1, 2, 3, "x"], "annotation 1: the bbox must hold 4 finite numbers"),
        (("annotations", 0, "bbox"), [1, 2, 3, float("nan")], "annotation 1: the bbox must hold 4 finite numbers"),
        (("annotations", 0, "bbox"), [1, 2, -3, 4], "annotation 1: the sides of the bbox must not be negative"),
        (("annotations", 0, "area"), "x", "annotation 1: the area must hold 1 finite numbers"),
        (("annotations", 0, "iscrowd"), 2, "annotation 1: iscrowd must be 0 or 1, got 2"),
    ],
)
def test_damaged_annotations_are_named_with_their_field(tmp_path, path, value, message):
    content = deepcopy(CONTENT)
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is DELETED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    file = write(tmp_path / "a.json", json.dumps(content))
    with pytest.raises(DataError, match=message):
        [read.objects(tmp_path, image) for read in [read_coco(file)] for image in read.images]


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "the segmentation must be polygons or run lengths, got None"),
        ([], r"the segmentation must be polygons or run lengths, got \[\]"),
        ([[1, 2, 3]], "there must be at least 3 corners"),
        ({"size": [2, 3], "counts": [6]}, r"the mask must have the size \[8, 12\], got \[2, 3\]"),
        ({"size": [8, 12], "counts": [6]}, "the counts must have the sum 96, got 6"),
    ],
)
def test_damaged_segmentations_are_named(tmp_path, segmentation, message):
    content = deepcopy(CONTENT)
    content["annotations"][0]["segmentation"] = segmentation
    file = read_coco(write(tmp_path / "a.json", json.dumps(content)))
    with pytest.raises(DataError, match=rf"a\.json, image 90, annotation 1: {message}"):
        file.masks(file.images[0])


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, "\xff", "[1]"])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.json(:| must)"):
        read_coco(tmp_path / "a.json")


def test_bad_annotations_and_images_are_counted_and_listed(tmp_path):
    content = deepcopy(CONTENT)
    content["annotations"][0]["bbox"] = [1, 1]
    content["images"] += [{"id": k, "file_name": "a.png", "height": 8, "width": 12} for k in (1, 2)]
    tree(tmp_path, content)
    with pytest.raises(DataError, match="image 90, annotation 1: the bbox must hold"):
        coco(tmp_path, size=8, validation=0.5)
    splits = coco(tmp_path, size=8, validation=0.5, skip_bad=True)
    assert splits.test.length == 3
    assert len(splits.left_out) == 2
    (tmp_path / "val2017" / "deep" / "b.png").write_bytes(b"x")
    assert coco(tmp_path, size=8, validation=0.5, skip_bad=True).test.length == 2
    masks = coco_segmentation(tmp_path, size=8, validation=0.5, skip_bad=True)
    assert (masks.test.length, len(masks.left_out)) == (3, 1)


def test_a_box_without_an_area_is_left_out(tmp_path):
    content = deepcopy(CONTENT)
    content["annotations"][0]["bbox"] = [1, 1, 0, 4]
    splits = coco(tree(tmp_path, content), size=8, validation=0.5)
    assert splits.test.element(0)["valid"].tolist() == [True, True]
    assert "image 90, object 1: a box must have an area" in splits.left_out[0]


def test_parts_must_have_the_same_categories(tmp_path):
    tree(tmp_path)
    other = {**CONTENT, "annotations": [], "categories": CONTENT["categories"][:2]}
    write(tmp_path / "annotations" / "instances_val2017.json", json.dumps(other))
    with pytest.raises(DataError, match=r"the categories must be those of .*, got 3 car, 18 dog"):
        coco(tmp_path, size=8)


def test_without_files_shapes_can_be_had():
    with blank_data(images=(6, 2), classes=3):
        boxes, masks = coco("nowhere", size=8, most=5), coco_segmentation("nowhere", size=8)
    example = boxes.train.element(np.arange(2))
    assert {name: example[name].shape for name in ("crowd", "area", "image_id")} == {
        "crowd": (2, 5),
        "area": (2, 5),
        "image_id": (2,),
    }
    assert (len(boxes.category_ids), len(masks.category_ids)) == (3, 3)
    with pytest.raises(DataError, match=r"instances_train2017\.json must be annotations, got no such file"):
        coco("nowhere", size=8)
