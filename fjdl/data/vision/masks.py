"""Masks of classes in PNG files, and the examples that they make with their images."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fjdl.checks import within
from fjdl.data.blank import Blank, absent, found_or_blank
from fjdl.data.image_folder import SUFFIXES, opened
from fjdl.data.source import Example, Source, Splits, one_by_one
from fjdl.data.vision.fitting import Size, fit_image, fit_mask
from fjdl.data.vision.images import fitted_reader, read_image
from fjdl.data.vision.parts import as_size, in_memory, three_parts
from fjdl.errors import DataFormatError

VOID = 255  # the class of pixels that count nowhere


def read_mask(
    path: Path | str,
    *,
    classes: int = VOID,
    values: Mapping[int, int] | None = None,
    void: Sequence[int] = (),
) -> np.ndarray:
    """The classes of the pixels of a mask file, uint8 [h, w], with 255 for void.

    A file with a palette gives its places in the palette, not its colours, a grey one its levels, one of 1 bit 0 and 1.
    `values` says which class a value of the file means; without it each value is its class. Each value among `void`
    becomes 255. Raises `DataError` for a file in colour, for a value that is neither void nor a class below `classes`,
    with the place of the first one, and for what `image_folder.decode` refuses.
    """
    with opened(path) as image:
        if image.mode not in ("1", "L", "P", "I", "I;16", "I;16L", "I;16B"):
            raise DataFormatError(path, None, "a mask", "be grey, of 1 bit or have a palette", f"mode {image.mode}")
        stored = np.array(image).astype(np.int64)
    within("[0, 255]", values=tuple(values or ()), void=tuple(void))
    table = np.full(256, -1)
    known = {value: value for value in range(min(classes, VOID))} if values is None else values
    for value, label in {**known, **dict.fromkeys(void, VOID)}.items():
        table[value] = label
    found = np.where((stored >= 0) & (stored < 256), table[np.clip(stored, 0, 255)], -1)
    bad = (found < 0) | ((found >= classes) & (found != VOID))
    if bad.any():
        row, column = np.argwhere(bad)[0].tolist()
        listed = ", ".join(str(value) for value in np.flatnonzero(table >= 0)[:20])
        raise DataFormatError(
            path, f"row {row}, column {column}", "the value of a pixel", f"be one of {listed}", f"{stored[row, column]}"
        )
    return found.astype(np.uint8)


def segment_source(
    pairs: Sequence[tuple[Path, Path]],
    *,
    classes: int,
    size: Size,
    stretch: bool = False,
    channels: int = 3,
    values: Mapping[int, int] | None = None,
    void: Sequence[int] = (),
) -> Source:
    """The examples `{"image": uint8 [*size, channels], "mask": uint8 [*size]}` of files of images and their masks.

    Each is decoded when it is asked for, and comes to its size as `fit_image` and `fit_mask` say, with void, 255, in
    the margins. Masks are read by `read_mask`. Raises `DataError` when it is asked for a file that cannot be read, or
    for a mask with another size than its image.
    """

    def one(number: int) -> Example:
        image, mask = pairs[number]
        pixels = read_image(image, channels=channels)
        labels = read_mask(mask, classes=classes, values=values, void=void)
        if labels.shape != pixels.shape[:2]:
            (height, width), (h, w) = pixels.shape[:2], labels.shape
            raise DataFormatError(mask, None, "the mask", f"have the size of {image}, {width} x {height}", f"{w} x {h}")
        return {"image": fit_image(pixels, size, stretch=stretch), "mask": fit_mask(labels, size, stretch=stretch)}

    return one_by_one(len(pairs), one)


def mask_folder(
    path: Path | str,
    *,
    size: int | Size,
    classes: Sequence[str],
    stretch: bool = False,
    channels: int = 3,
    values: Mapping[int, int] | None = None,
    void: Sequence[int] = (VOID,),
    images: str = "images",
    masks: str = "masks",
    parts: Sequence[str] = ("train", "val", "test"),
    validation: float = 0.1,
    split_seed: int = 0,
    skip_bad: bool = False,
) -> Splits:
    """The images below `path/<images>/<part>` with the masks of the same names in `path/<masks>/<part>`.

    Parts and `skip_bad` are those of `voc`, examples and errors those of `segment_source`. Masks end in .png. Files
    are sorted by name, and files that are no images are ignored.
    """
    root, size = Path(path), as_size(size)

    def find() -> Splits:
        sources = [
            segment_source(
                _pairs(root / images / part, root / masks / part), classes=len(classes), size=size, stretch=stretch,
                channels=channels, values=values, void=void,
            )
            for part in parts
        ]  # fmt: skip
        return three_parts(
            root.resolve().name, sources, classes=classes, validation=validation, split_seed=split_seed,
            skip_bad=skip_bad, reader=fitted_reader(size, stretch=stretch, channels=channels),
        )  # fmt: skip

    make = blank_segmentation(root.resolve().name, (*size, channels), classes=classes)
    return found_or_blank(str(path), find, make)


def blank_segmentation(
    name: str,
    shape: tuple[int, int, int],
    *,
    classes: Sequence[str],
    lengths: tuple[int, int, int] | None = None,
    streamed: bool = True,
) -> Callable[[Blank], Splits]:
    """What stands for the files of a data set of images with masks inside of `blank_data`: noise, and all classes."""

    def make(blank: Blank) -> Splits:
        sources = [_noise(length, shape, len(classes)) for length in lengths or (*blank.images, blank.images[1])]
        reader = fitted_reader(shape[:2], channels=shape[2])
        splits = three_parts(name, sources, classes=classes, validation=0.1, split_seed=0, reader=reader)
        return splits if streamed else in_memory(splits)

    return make


def _noise(length: int, shape: tuple[int, int, int], classes: int) -> Source:
    def element(number: int) -> Example:
        image = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
        mask = (np.arange(shape[0] * shape[1]) + number) % classes
        return {"image": image, "mask": mask.reshape(shape[:2]).astype(np.uint8)}

    return one_by_one(length, element)


def _pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    if not images.is_dir():
        raise absent(f"{images} must be a folder of images, got no such folder")
    files = sorted(file for file in images.iterdir() if file.suffix.lower() in SUFFIXES)
    return [(file, masks / f"{file.stem}.png") for file in files]
