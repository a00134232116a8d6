"""Image files whose pixels stay where boxes and masks say that they are."""

from pathlib import Path

import numpy as np

from fjdl.data.image_folder import SUFFIXES, as_rgb, opened
from fjdl.data.source import Picture, Reader
from fjdl.data.vision.fitting import MARGIN, Size, fit_image, placement
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


def fitted_reader(size: Size, *, stretch: bool = False, channels: int = 3, fill: int = MARGIN) -> Reader:
    """Reads an image file as `read_image` does and brings it to its size as `fit_image` does.

    Examples are `{"image": uint8 [*size, channels], "image_size": int32 [2]}`, the latter (height, width) of the file.
    """

    def read(path: Path) -> Picture:
        pixels = read_image(path, channels=channels)
        source = pixels.shape[:2]
        seen = fit_image(pixels, size, stretch=stretch, fill=fill)
        top, left, height, width = placement(source, size, stretch=stretch)
        down, across = source[0] / height, source[1] / width
        window = (-left * across, -top * down, (size[1] - left) * across, (size[0] - top) * down)
        whole = pixels if channels == 3 else np.repeat(pixels, 3, axis=2)
        return Picture({"image": seen, "image_size": np.array(source, np.int32)}, whole, window)

    return read


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
