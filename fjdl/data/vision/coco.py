"""Data sets in the layout of COCO: `annotations/instances_<part>.json` with the images in `<part>/`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fjdl.data.blank import Blank, absent, found_or_blank
from fjdl.data.source import Example, Source, Splits, one_by_one
from fjdl.data.vision.coco_files import CocoFile, CocoImage, read_coco
from fjdl.data.vision.fitting import Size, fit_image, fit_mask
from fjdl.data.vision.images import fitted_reader, read_image
from fjdl.data.vision.masks import VOID, blank_segmentation
from fjdl.data.vision.objects import gather
from fjdl.data.vision.parts import as_size, blank_detection, object_splits, three_parts
from fjdl.errors import DataFormatError


@dataclass(frozen=True, kw_only=True)
class CocoSplits(Splits):
    """A data set whose label `k` is the category with the number `category_ids[k]` in the files."""

    category_ids: tuple[int, ...]


def coco(
    path: Path | str,
    *,
    size: int | Size,
    stretch: bool = False,
    parts: Sequence[str] = ("train2017", "val2017"),
    most: int | None = None,
    validation: float = 0.05,
    split_seed: int = 0,
    skip_bad: bool = False,
) -> CocoSplits:
    """The images with boxes of a folder of COCO (Lin et al. 2014, arXiv:1405.0312).

    `parts` are the training, validation and test part; of two, the share `validation` is drawn from the first. Classes
    are the categories in the order of their numbers, which may have gaps. Examples are those of `object_source` with
    "crowd", bool [most], and "area", float32 [most], that of the object's mask where it is said, in pixels of the
    example's image, and "image_id", int32. An image without annotations has no valid box; a crowd is valid. Annotations
    are read now and images when they are asked for; `most`, `left_out` and `skip_bad` are those of `voc`. Raises
    `DataError` where a file is missing or damaged, or the parts have different categories.
    """
    root, size = Path(path), as_size(size)

    def find() -> CocoSplits:
        files = _files(root, parts)
        found = [gather(file.images, partial(file.objects, root / part), skip_bad=skip_bad) for part, file in files]
        categories = files[0][1].categories
        splits = object_splits(
            root.resolve().name, found, size=size, classes=[*categories.values()], most=most, stretch=stretch,
            validation=validation, split_seed=split_seed,
        )  # fmt: skip
        return CocoSplits(**vars(splits), category_ids=tuple(categories))

    return found_or_blank(str(path), find, _made_up(root.resolve().name, size, most))


def coco_segmentation(
    path: Path | str,
    *,
    size: int | Size,
    stretch: bool = False,
    parts: Sequence[str] = ("train2017", "val2017"),
    validation: float = 0.05,
    split_seed: int = 0,
    skip_bad: bool = False,
) -> CocoSplits:
    """The images of `coco` with masks of classes: 0 is the background and k the category `classes[k]`.

    Pixels of more than one object and of crowds are void, 255. Examples are `{"image": uint8 [*size, 3], "mask": uint8
    [*size], "image_id": int32}`; parts, errors and `skip_bad` are those of `coco`. `category_ids` begins with 0 for the
    background. Raises `DataError` for 255 categories and more.
    """
    root, size = Path(path), as_size(size)

    def find() -> CocoSplits:
        files = _files(root, parts)
        sources = [_masks(root / part, file, size, stretch) for part, file in files]
        categories = files[0][1].categories
        if len(categories) >= VOID:
            raise DataFormatError(path, None, "there", f"be fewer than {VOID} categories", f"{len(categories)}")
        splits = three_parts(
            root.resolve().name, sources, classes=("background", *categories.values()),
            validation=validation, split_seed=split_seed, skip_bad=skip_bad,
            reader=fitted_reader(size, stretch=stretch),
        )  # fmt: skip
        return CocoSplits(**vars(splits), category_ids=(0, *categories))

    def make(blank: Blank) -> CocoSplits:
        classes = [f"class {number}" for number in range(blank.classes)]
        splits = blank_segmentation(root.resolve().name, (*size, 3), classes=classes)(blank)
        return CocoSplits(**vars(splits), category_ids=tuple(range(len(classes))))

    return found_or_blank(str(path), find, make)


def class_mask(file: CocoFile, image: CocoImage) -> np.ndarray:
    """The class of each pixel, uint8 [h, w], as `coco_segmentation` says; raises what `CocoFile.masks` does."""
    masks = file.masks(image).astype(bool)
    numbers = {category: number for number, category in enumerate(file.categories, 1)}
    labels, crowds = np.zeros(image.size, np.uint8), np.zeros(image.size, bool)
    for mask, annotation in zip(masks, image.annotations, strict=True):
        labels[mask] = numbers[annotation["category_id"]]
        crowds |= mask & bool(annotation.get("iscrowd", 0))
    labels[crowds | (masks.sum(axis=0) > 1)] = VOID
    return labels


def _masks(folder: Path, file: CocoFile, size: Size, stretch: bool) -> Source:
    def one(number: int) -> Example:
        image = file.images[number]
        pixels, mask = read_image(folder / image.name), class_mask(file, image)
        if mask.shape != pixels.shape[:2]:
            raise DataFormatError(
                file.path,
                f"image {image.id}",
                "the size",
                f"be that of {folder / image.name}, {pixels.shape[1]} x {pixels.shape[0]}",
                f"{mask.shape[1]} x {mask.shape[0]}",
            )
        fitted = {"image": fit_image(pixels, size, stretch=stretch), "mask": fit_mask(mask, size, stretch=stretch)}
        return {**fitted, "image_id": np.array(image.id, np.int32)}

    return one_by_one(len(file.images), one)


def _files(root: Path, parts: Sequence[str]) -> list[tuple[str, CocoFile]]:
    found = []
    for part in parts:
        path = root / "annotations" / f"instances_{part}.json"
        if not path.is_file():
            raise absent(f"{path} must be annotations, got no such file")
        found.append((part, read_coco(path)))
    for _, file in found:
        if file.categories != found[0][1].categories:
            raise DataFormatError(
                file.path,
                None,
                "the categories",
                f"be those of {found[0][1].path}, {_listed(found[0][1].categories)}",
                f"{_listed(file.categories)}",
            )
    return found


def _listed(categories: Mapping[int, str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in [*categories.items()][:5]) + ", …"


def _made_up(name: str, size: Size, most: int | None) -> Callable[[Blank], CocoSplits]:
    def make(blank: Blank) -> CocoSplits:
        more = {"crowd": bool, "area": np.float32}
        splits = blank_detection(name, size, most=most, more=more, numbered=True)(blank)
        return CocoSplits(**vars(splits), category_ids=tuple(range(1, len(splits.classes) + 1)))

    return make
