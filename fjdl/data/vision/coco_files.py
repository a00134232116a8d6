"""The JSON files of COCO: annotations of instances, and results of detectors."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from fjdl.data.files import read_at_most
from fjdl.data.vision.fitting import Size
from fjdl.data.vision.objects import Objects
from fjdl.data.vision.polygons import polygon_mask
from fjdl.data.vision.run_lengths import decode_run_lengths
from fjdl.errors import DataFormatError
from fjdl.files import write_atomically

LARGEST = 2**30  # bytes of a file; the annotations of the training images of 2017 have 448,836,347
FARTHEST = 1e9  # of a coordinate


class CocoImage(NamedTuple):
    """An image of a file and what the file says of it."""

    id: int
    name: str  # of its file, in the folder of the images
    size: Size
    annotations: tuple[Mapping[str, Any], ...]  # as they are, each with an id of a category


class CocoFile(NamedTuple):
    """What a file of annotations holds; `categories` are names by number, in the order of the numbers."""

    path: Path
    images: tuple[CocoImage, ...]
    categories: Mapping[int, str]

    def objects(self, folder: Path, image: CocoImage) -> Objects:
        """The boxes of an image: `[x, y, width, height]` in the file becomes `[x, y, x + width, y + height]`.

        With "crowd", "area" (that of the box where it is not said) and "image_id". Raises `DataError` for a box that is
        not four numbers or has a negative side, an area that is no number and an "iscrowd" that is neither 0 nor 1.
        """
        boxes, areas, crowds = [], [], []
        for annotation in image.annotations:
            place = self.place(image, annotation)
            x, y, width, height = box = _numbers(annotation.get("bbox"), "bbox", place, count=4)
            if min(width, height) < 0:
                raise DataFormatError(place, None, "the sides of the bbox", "not be negative", f"{box}")
            boxes.append([x, y, x + width, y + height])
            areas.append(_numbers([annotation.get("area", width * height)], "area", place, count=1)[0])
            crowds.append(_crowd(annotation, place))
        more = {"crowd": np.array(crowds, bool), "area": np.array(areas, np.float32)}
        names = tuple(self.categories[annotation["category_id"]] for annotation in image.annotations)
        where, facts = f"{self.path}, image {image.id}", {"image_id": np.array(image.id, np.int32)}
        return Objects(
            folder / image.name, where, image.size, np.array(boxes, np.float64).reshape(-1, 4), names, more, facts
        )

    def masks(self, image: CocoImage) -> np.ndarray:
        """The masks of the objects of an image, uint8 [k, h, w] of 0 and 1, from polygons or run lengths.

        An object of several polygons has the pixels of all. Raises `DataError` for a segmentation that is missing or
        neither, and for what `polygon_mask` and `decode_run_lengths` refuse.
        """
        found = [self._mask(image, annotation) for annotation in image.annotations]
        return np.stack(found) if found else np.zeros((0, *image.size), np.uint8)

    def place(self, image: CocoImage, annotation: Mapping[str, Any]) -> str:
        """How errors name an annotation."""
        return f"{self.path}, image {image.id}, annotation {annotation.get('id', 'without id')}"

    def _mask(self, image: CocoImage, annotation: Mapping[str, Any]) -> np.ndarray:
        place, segments = self.place(image, annotation), annotation.get("segmentation")
        if isinstance(segments, dict):
            mask = decode_run_lengths(segments, where=place)
            if mask.shape != tuple(image.size):
                raise DataFormatError(
                    place, None, "the mask", f"have the size {list(image.size)}", f"{list(mask.shape)}"
                )
            return mask
        if not isinstance(segments, list) or not segments:
            raise DataFormatError(place, None, "the segmentation", "be polygons or run lengths", f"{_short(segments)}")
        return np.max([polygon_mask(polygon, image.size, where=place) for polygon in segments], axis=0)


def read_coco(path: Path | str) -> CocoFile:
    """The images, annotations and categories of a file of instances.

    Images stay in the file's order, annotations too, and an image without annotations stays. Raises `DataError` for a
    file that is not JSON or has more than 1 GiB; where "images", "annotations" or "categories" is not a list of
    objects; for an id that is missing, no whole number or there twice; for a name of a category that is there twice;
    for an image without its file's name or a positive size, or whose name leads out of the folder; and for an
    annotation of an image or a category that is not there.
    """
    content = _parsed(Path(path))
    named = dict(_by_id(path, content, "categories"))
    categories = {number: _text(each, "name", f"{path}, category {number}") for number, each in named.items()}
    if len({*categories.values()}) != len(categories):
        raise DataFormatError(path, None, "the names of categories", "differ", f"{sorted(categories.values())[:20]}")
    images = dict(_by_id(path, content, "images"))
    grouped: dict[int, list[Mapping[str, Any]]] = {number: [] for number in images}
    for annotation in _list(path, content, "annotations"):
        place = f"{path}, annotation {annotation.get('id', 'without id')}"
        for field, known in (("image_id", images), ("category_id", categories)):
            if not _whole(annotation.get(field)) or annotation[field] not in known:
                raise DataFormatError(
                    place, None, f"the {field}", "be one of the file's", f"{_short(annotation.get(field))}"
                )
        grouped[annotation["image_id"]].append(annotation)
    found = [_image(path, number, image, grouped[number]) for number, image in images.items()]
    return CocoFile(Path(path), tuple(found), dict(sorted(categories.items())))


def coco_results(
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    valid: np.ndarray,
    *,
    image_ids: Sequence[int] | np.ndarray,
    category_ids: Sequence[int],
) -> list[dict[str, Any]]:
    """Detections as the results of COCO: an entry for each that is valid, in their order.

    `boxes` `[n, k, 4]` are corners in the pixels of the files' images, see `unfit_boxes`, `scores`, `labels` and
    `valid` are `[n, k]`; the numbers of images are `image_ids` `[n]`, and of label `l` that of the category is
    `category_ids[l]`. An entry is `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}`, which
    `pycocotools.coco.COCO.loadRes` reads. Raises `ValueError` for a valid label without a category.
    """
    found = []
    for image, k in np.argwhere(np.asarray(valid)).tolist():
        label = int(labels[image, k])
        if not 0 <= label < len(category_ids):
            raise ValueError(f"labels must lie in [0, {len(category_ids)}), got {label}")
        x0, y0, x1, y1 = np.asarray(boxes[image, k], np.float64).tolist()
        entry = {"image_id": int(image_ids[image]), "category_id": int(category_ids[label])}
        found.append({**entry, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": float(scores[image, k])})
    return found


def write_coco_results(path: Path | str, results: Iterable[Mapping[str, Any]]) -> None:
    """Writes entries of `coco_results` as one JSON file, at once; raises `StorageError` where it cannot be written."""
    write_atomically(Path(path), json.dumps(list(results), allow_nan=False))


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        with open(path, "rb") as stream:
            content = read_at_most(stream, LARGEST)
        if len(content) > LARGEST:
            raise DataFormatError(path, None, "the file", f"have at most {LARGEST} bytes", "more")
        parsed = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise DataFormatError(path, None, "", "be readable JSON", f"{' '.join(str(error).split())}") from error
    if not isinstance(parsed, dict):
        raise DataFormatError(path, None, "the file", "hold a JSON object", f"{_short(parsed)}")
    return parsed


def _list(path: Path | str, content: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    values = content.get(field)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise DataFormatError(path, None, f"{field}", "be a list of objects", f"{_short(values)}")
    return values


def _by_id(path: Path | str, content: Mapping[str, Any], field: str) -> list[tuple[int, dict[str, Any]]]:
    seen: set[int] = set()
    pairs = []
    for place, value in enumerate(_list(path, content, field)):
        number = value.get("id")
        if not _whole(number) or not 0 <= number < 2**31 or number in seen:
            raise DataFormatError(
                path, f"{field}[{place}]", "the id", "be a whole number of its own", f"{_short(number)}"
            )
        seen.add(number)
        pairs.append((number, value))
    return pairs


def _image(
    path: Path | str, number: int, image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]
) -> CocoImage:
    place = f"{path}, image {number}"
    name = _text(image, "file_name", place)
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise DataFormatError(place, None, "the file_name", "lead to no other folder", f"{_short(name)}")
    height, width = image.get("height"), image.get("width")
    if not (_whole(height) and _whole(width) and min(height, width) > 0):
        raise DataFormatError(place, None, "height and width", "be positive numbers", f"{_short([height, width])}")
    return CocoImage(number, name, (height, width), tuple(annotations))


def _crowd(annotation: Mapping[str, Any], place: str) -> bool:
    crowd = annotation.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise DataFormatError(place, None, "iscrowd", "be 0 or 1", f"{_short(crowd)}")
    return bool(crowd)


def _numbers(values: Any, field: str, place: str, *, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count or not all(_finite(value) for value in values):
        raise DataFormatError(place, None, f"the {field}", f"hold {count} finite numbers", f"{_short(values)}")
    return [float(value) for value in values]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < FARTHEST


def _text(values: Mapping[str, Any], field: str, place: str) -> str:
    text = values.get(field)
    if not isinstance(text, str) or not text:
        raise DataFormatError(place, None, f"the {field}", "be a text", f"{_short(text)}")
    return text


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
