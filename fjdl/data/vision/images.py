"""Image files whose pixels stay where boxes and masks say that they are."""

from pathlib import Path

import numpy as np

from fjdl.data.image_folder import SUFFIXES, as_rgb, opened
from fjdl.errors import DataError


def read_image(path: Path | str, *, channels: int = 3) -> np.ndarray:
    """All pixels of an image file as uint8 [h, w, channels], three of colour or one of grey (ITU-R BT.601 luma).

    Rows and columns are those of the file, whatever its EXIF orientation says, since boxes and masks count in them.
    Otherwise pixels and errors are those of `image_folder.decode`.
    """
    with opened(path) as image:
        if channels == 1 and image.mode == "L":
            return np.array(image)[..., None]
        colour = as_rgb(image)
        return np.array(colour) if channels == 3 else np.array(colour.convert("L"))[..., None]


def image_size(path: Path | str) -> tuple[int, int]:
    """Height and width that the header of an image file states; raises `DataError` where there is none."""
    with opened(path) as image:
        return image.height, image.width


def image_named(folder: Path, name: str) -> Path:
    """The image file `folder/name` with one of the endings .jpg, .jpeg, .png, .webp and .bmp, in this order.

    Raises `DataError` where there is none.
    """
    for suffix in sorted(SUFFIXES, key=(".jpg", ".jpeg", ".png", ".webp", ".bmp").index):
        for ending in (suffix, suffix.upper()):
            if (path := folder / f"{name}{ending}").is_file():
                return path
    raise DataError(f"{folder}: there must be an image {name}.jpg or with another known ending, got none")
