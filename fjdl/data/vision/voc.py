"""Data sets in the layout of Pascal VOC: `Annotations`, `ImageSets`, `JPEGImages` and `SegmentationClass`.

The corners of a box in a file are the numbers of the first and the last pixel that belong to it, from 1. Here they
become `x0 = xmin - 1, y0 = ymin - 1, x1 = xmax, y1 = ymax`, so that a box holds as many pixels as in the file.
"""

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from fjdl.data.blank import absent, found_or_blank
from fjdl.data.source import Splits
from fjdl.data.text.lines import read_lines
from fjdl.data.vision.fitting import Size
from fjdl.data.vision.images import fitted_reader, image_named, image_size
from fjdl.data.vision.masks import blank_segmentation, segment_source
from fjdl.data.vision.objects import Gathered, Objects, gather
from fjdl.data.vision.parts import as_size, blank_detection, object_splits, three_parts
from fjdl.data.vision.xml_files import read_xml
from fjdl.errors import DataFormatError

VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def voc(
    path: Path | str,
    *,
    size: int | Size,
    stretch: bool = False,
    parts: Sequence[str] = ("train", "val", "test"),
    classes: Sequence[str] | None = None,
    most: int | None = None,
    first: int = 1,
    validation: float = 0.1,
    split_seed: int = 0,
    skip_bad: bool = False,
) -> Splits:
    """The images with boxes of a folder such as `VOCdevkit/VOC2007` (Everingham et al. 2010).

    `parts` are the names of the lists in `ImageSets/Main` of the training, validation and test images; of two, the
    share `validation` is drawn from the first. Classes are those that occur, sorted, unless they are given. Examples
    are those of `object_source` with "difficult", bool [most]; `most` is by default the largest number of boxes of an
    image. Annotations are read now and images when they are asked for. Boxes are clipped to their image. Those without
    an area then, and with `skip_bad` each image that cannot be read with its annotation, are left out, with a sentence
    each in `left_out`. Raises `DataError` where a file is missing or damaged, and for a class that is not among those
    given.
    """
    root, size = Path(path), as_size(size)

    def find() -> Splits:
        found = [_listed(root, name, classes=classes, first=first, skip_bad=skip_bad) for name in parts]
        return object_splits(
            root.resolve().name, found, size=size, classes=classes, most=most, stretch=stretch,
            validation=validation, split_seed=split_seed,
        )  # fmt: skip

    return found_or_blank(
        str(path), find, blank_detection(root.resolve().name, size, most=most, more={"difficult": bool})
    )


def voc_segmentation(
    path: Path | str,
    *,
    size: int | Size,
    stretch: bool = False,
    parts: Sequence[str] = ("train", "val"),
    classes: Sequence[str] = ("background", *VOC),
    validation: float = 0.1,
    split_seed: int = 0,
    skip_bad: bool = False,
) -> Splits:
    """The images with masks of classes of a folder such as `VOCdevkit/VOC2012`, from `ImageSets/Segmentation`.

    Examples are those of `segment_source`; the value 255 of a mask, on the border of objects, is void. Parts are those
    of `voc`; errors and `skip_bad` too.
    """
    root, size = Path(path), as_size(size)

    def find() -> Splits:
        sources = []
        for part in parts:
            pairs = [
                (root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png")
                for name in image_set(root, part, task="Segmentation")
            ]
            sources.append(segment_source(pairs, classes=len(classes), void=(255,), size=size, stretch=stretch))
        return three_parts(
            root.resolve().name, sources, classes=classes, validation=validation, split_seed=split_seed,
            skip_bad=skip_bad, reader=fitted_reader(size, stretch=stretch),
        )  # fmt: skip

    return found_or_blank(str(path), find, blank_segmentation(root.resolve().name, (*size, 3), classes=classes))


def image_set(root: Path, part: str, *, task: str = "Main") -> list[str]:
    """The names of images that `ImageSets/<task>/<part>.txt` lists, one a line; only the first word of a line counts.

    Raises `DataError` where the list is missing or holds no name or one that leads out of the folder.
    """
    path = root / "ImageSets" / task / f"{part}.txt"
    if not path.is_file():
        raise absent(f"{path} must be a list of images, got no such file")
    names = [line.split()[0] for line in read_lines(path) if line.strip()]
    for number, name in enumerate(names, 1):
        if Path(name).name != name or name == "..":
            raise DataFormatError(
                path, f"line {number}", "the name of an image", "lead to no other folder", f"{name!r}"
            )
    if not names:
        raise DataFormatError(path, None, "", "name an image", "none")
    return names


def read_voc(path: Path | str, image: Path, *, first: int = 1) -> Objects:
    """What an annotation file says of the objects in `image`, with their parts left out.

    Corners become `xmin - first, ymin - first, xmax - first + 1, ymax - first + 1`, where `first` is the number of the
    first pixel: 1 officially, 0 as some tools write. A box whose corners have no area as they are written has none here
    either. "difficult" is False where it is not said. The size of an image that is not given, or is 0 x 0, is that of
    the image file. Raises `DataError` for a file that is not such XML, an object without its name or one of its
    corners, and a field that is no number.
    """
    root = read_xml(path)
    if root.tag != "annotation":
        raise DataFormatError(path, None, "the root of the file", "be <annotation>", f"<{root.tag[:40]}>")
    objects = root.findall("object")
    boxes, names, difficult = [], [], []
    for number, each in enumerate(objects, 1):
        place = f"{path}, object {number}"
        name = (each.findtext("name") or "").strip()
        if not name:
            raise DataFormatError(place, None, "an object", "have a <name>", "none")
        names.append(name)
        difficult.append(_number(each, "difficult", place, missing=0.0) != 0)
        x0, y0, x1, y1 = (_number(each, f"bndbox/{corner}", place) for corner in CORNERS)
        last = first - 1 if x1 > x0 and y1 > y0 else first
        boxes.append([x0 - first, y0 - first, x1 - last, y1 - last])
    sides = [int(_number(root, f"size/{side}", str(path), missing=0.0)) for side in ("height", "width")]
    height, width = sides if min(sides) > 0 else image_size(image)
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    more = {"difficult": np.array(difficult, bool)}
    return Objects(image, str(path), (height, width), corners, tuple(names), more)


def _listed(root: Path, part: str, *, classes: Sequence[str] | None, first: int, skip_bad: bool) -> Gathered:
    def read(name: str) -> Objects:
        return read_voc(root / "Annotations" / f"{name}.xml", image_named(root / "JPEGImages", name), first=first)

    return gather(image_set(root, part), read, classes=classes, skip_bad=skip_bad)


def _number(element: Element, field: str, place: str, *, missing: float | None = None) -> float:
    """The finite number in a field, or `missing` where it is not there and may be missing."""
    text = element.findtext(field)
    if text is None or not text.strip():
        if missing is None:
            raise DataFormatError(place, None, "an object", f"have <{field}>", "none")
        return missing
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e9:
        raise DataFormatError(place, None, f"<{field}>", "be a number", f"{text.strip()[:40]!r}")
    return value
