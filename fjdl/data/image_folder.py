"""Image files in one folder for each class, decoded when they are asked for."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from fjdl.checks import at_least
from fjdl.data.blank import Blank, absent, blank, found_or_blank
from fjdl.data.source import Example, Index, Picture, Source, Splits, one_by_one, subset
from fjdl.data.splits import stratified_split, without_bad
from fjdl.errors import DataError, DataFormatError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
MOST_PIXELS = 2**26  # in one file, 192 MiB as RGB


def image_folder(
    path: Path | str,
    *,
    size: int,
    shorter: int | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    split_seed: int = 0,
    skip_bad: bool = False,
) -> Splits:
    """The images below `path` as uint8 [size, size, 3] with one class for each folder, in the order of their names.

    Where `path` has `train/<class>/…` with `val/` and `test/` beside it, these are the parts. Where only one of the two
    is beside it, that one is the test part, and the share `validation` of each class is drawn from `train/`. Where
    `path` holds the folders of the classes itself, the shares `validation` and `test` are drawn from it. Files ending
    in .jpg, .jpeg, .png, .webp or .bmp count, at any depth and sorted by name; others are ignored.

    Only names are read here; an example is decoded by `decode` each time it is asked for, and a damaged file raises
    `DataError` naming it then; with `skip_bad` every file is decoded once now, and a damaged one is left out, with a
    sentence in `left_out`. Raises `DataError` where a folder is missing, a class of the training part has no
    image, or another part has a class of its own; raises `ValueError` for sizes below 1 and for shares that are not
    positive or leave nothing.
    """
    _check(size, shorter)

    def find() -> _Found:
        training, held_out = _parts(Path(path))
        classes = _classes(training)
        files, labels = _listed(training, classes, complete=True)
        others = [_source(*_listed(part, classes, complete=False), size, shorter) for part in held_out]
        return _Found(_source(files, labels, size, shorter), others, labels, classes)

    whole, others, labels, classes = found_or_blank(str(path), find, partial(_made_up, size))
    shares = ((validation, test), (validation,), ())[len(others)]
    drawn = stratified_split(labels, fractions=(1 - sum(shares), *shares), seed=split_seed)
    train, middle, last = *(subset(whole, indices) for indices in drawn), *others
    splits = Splits(
        name=Path(path).resolve().name, train=train, validation=middle, test=last, classes=classes,
        reader=square_reader(size=size, shorter=shorter),
    )  # fmt: skip
    return without_bad(splits) if skip_bad and blank() is None else splits


class _Found(NamedTuple):
    whole: Source  # the training part, or everything
    others: list[Source]  # the parts beside it
    labels: np.ndarray  # of the first
    classes: tuple[str, ...]


def decode(path: Path | str, *, size: int, shorter: int | None = None) -> np.ndarray:
    """The central square of an image file as uint8 [size, size, 3].

    The image is scaled, with the filter widened as far as it shrinks (bilinear), so that its shorter side has `shorter`
    pixels (`size` by default), and its centre is cut out. It is turned as its EXIF orientation says and becomes RGB:
    grey values are repeated, 16 bits lose their lower 8, transparency is dropped, CMYK is converted without a profile;
    of an animation the first frame counts. Large JPEG files are decoded at 1/2, 1/4 or 1/8 where twice `shorter` pixels
    remain. Raises `DataError` for a file that is damaged, cut off, of another format than JPEG, PNG, WebP or BMP, or of
    more than 67,108,864 pixels.
    """
    _check(size, shorter)
    with opened(path) as image:
        return _decoded(image, size, shorter or size)


def decode_bytes(content: bytes, *, place: str, size: int, shorter: int | None = None) -> np.ndarray:
    """What `decode` gives for a file of this content, which `place` names in errors."""
    _check(size, shorter)
    with opened(place, content=content) as image:
        return _decoded(image, size, shorter or size)


def _decoded(image: Image.Image, size: int, shorter: int) -> np.ndarray:
    image.draft(None, (2 * shorter, 2 * shorter))
    return _square(as_rgb(ImageOps.exif_transpose(image)), size, shorter)


@dataclass(frozen=True)
class SquareReader:
    """Reads an image file as `square_reader` says; a value, so that a run can keep it."""

    size: int
    shorter: int | None = None
    channels: int = 3
    levels: int = 255

    def __call__(self, path: Path) -> Picture:
        """The image as an example, and where it lies in the file."""
        seen = self.seen(decode(path, size=self.size, shorter=self.shorter))
        with opened(path) as image:
            original = np.array(as_rgb(ImageOps.exif_transpose(image)))
        height, width = original.shape[:2]
        side = min(height, width) * self.size / (self.shorter or self.size)
        left, top = (width - side) / 2, (height - side) / 2
        return Picture({"image": seen}, original, (left, top, left + side, top + side))

    def seen(self, square: np.ndarray) -> np.ndarray:
        """What an example has of a decoded square: its channels and levels."""
        if self.channels == 1:
            square = np.asarray(Image.fromarray(square).convert("L"))[..., None]
        return np.rint(square * (self.levels / 255)).astype(np.uint8)


def square_reader(*, size: int, shorter: int | None = None, channels: int = 3, levels: int = 255) -> SquareReader:
    """Reads the central square of an image file as `decode` does: `{"image": uint8 [size, size, channels]}`.

    With one channel the image is grey (ITU-R BT.601 luma). White is `levels`, as the data set counts it.
    """
    _check(size, shorter)
    return SquareReader(size, shorter, channels, levels)


@contextmanager
def opened(path: Path | str, *, content: bytes | None = None) -> Iterator[Image.Image]:
    """An image file of which the header is read; pixels are decoded inside of the block when they are asked for.

    Where the content is given, the path only names it. Raises `DataError` for the files that `decode` refuses,
    whichever line of the block meets the fault.
    """
    try:
        with Image.open(path if content is None else io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DataFormatError(path, None, "an image", f"have at most {MOST_PIXELS} pixels", f"{image.size}")
            yield image
    except DataError:
        raise
    except Exception as error:  # decoders raise whatever they like
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataFormatError(path, None, "", "be a readable JPEG, PNG, WebP or BMP image", f"{reason}") from error


def _check(size: int, shorter: int | None) -> None:
    at_least(1, size=size)
    if shorter is not None and shorter < size:
        raise ValueError(f"shorter must be at least size={size}, got {shorter}")


def as_rgb(image: Image.Image) -> Image.Image:
    """The image as RGB, in the way that `decode` says."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _square(image: Image.Image, size: int, shorter: int) -> np.ndarray:
    """Cuts before it scales, so that a very long image costs no more than a square one."""
    side = min(image.size) * size / shorter
    left, top = ((length - side) / 2 for length in image.size)
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def _parts(root: Path) -> tuple[Path, list[Path]]:
    """The folder of the training part and those that are held out."""
    if not root.is_dir():
        raise absent(f"{root} must be a folder of images, got no such folder")
    if not (root / "train").is_dir():
        return root, []
    held_out = [root / name for name in ("val", "test") if (root / name).is_dir()]
    if not held_out:
        raise DataFormatError(root, None, "", "have val/ or test/ beside train/", "neither")
    return root / "train", held_out


def _classes(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."))


def _listed(folder: Path, classes: tuple[str, ...], *, complete: bool) -> tuple[list[str], np.ndarray]:
    """Files and labels, class by class."""
    if unknown := sorted({*_classes(folder)} - {*classes}):
        raise DataFormatError(folder, None, "the classes", "be those of the training part", f"{unknown[0]!r}")
    files: list[str] = []
    counts = []
    for name in classes:
        found = sorted(str(file) for file in (folder / name).rglob("*") if file.suffix.lower() in SUFFIXES)
        if complete and not found:
            raise DataFormatError(folder / name, None, "", "hold an image", "none")
        files += found
        counts.append(len(found))
    if not files:
        raise DataFormatError(folder, None, "", "hold folders of images", "none")
    return files, np.repeat(np.arange(len(classes), dtype=np.int32), counts)


def _source(files: list[str], labels: np.ndarray, size: int, shorter: int | None) -> Source:
    def one(number: int) -> Example:
        return {"image": decode(files[number], size=size, shorter=shorter), "label": np.asarray(labels[number])}

    return one_by_one(len(files), one)


def _made_up(size: int, blank: Blank) -> _Found:
    """Black images in the layout of ImageNet."""
    labels, held_out = (np.arange(length, dtype=np.int32) % blank.classes for length in blank.images)
    classes = tuple(f"class {number}" for number in range(blank.classes))
    return _Found(_black(labels, size), [_black(held_out, size)], labels, classes)


def _black(labels: np.ndarray, size: int) -> Source:
    def element(index: Index) -> Example:
        chosen = np.asarray(labels[index])
        return {"image": np.zeros((*chosen.shape, size, size, 3), np.uint8), "label": chosen}

    return Source(len(labels), element, streamed=True)
