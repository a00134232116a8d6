"""Image files whose pixels stay where boxes and masks say that they are."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fjdl.data.image_folder import SUFFIXES, as_rgb, opened
from fjdl.data.source import Picture
from fjdl.data.vision.fitting import MARGIN, Size, fit_image, placement
from fjdl.errors import DataFormatError


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


@dataclass(frozen=True)
class FittedReader:
    """Reads an image file as `fitted_reader` says; a value, so that a run can keep it."""

    size: Size
    stretch: bool = False
    channels: int = 3
    fill: int = MARGIN

    def __call__(self, path: Path) -> Picture:
        """The image as an example, and where it lies in the file."""
        pixels = read_image(path, channels=self.channels)
        source = pixels.shape[:2]
        seen = fit_image(pixels, self.size, stretch=self.stretch, fill=self.fill)
        top, left, height, width = placement(source, self.size, stretch=self.stretch)
        down, across = source[0] / height, source[1] / width
        window = (-left * across, -top * down, (self.size[1] - left) * across, (self.size[0] - top) * down)
        whole = pixels if self.channels == 3 else np.repeat(pixels, 3, axis=2)
        return Picture({"image": seen, "image_size": np.array(source, np.int32)}, whole, window)


def fitted_reader(size: Size, *, stretch: bool = False, channels: int = 3, fill: int = MARGIN) -> FittedReader:
    """Reads an image file as `read_image` does and brings it to its size as `fit_image` does.

    Examples are `{"image": uint8 [*size, channels], "image_size": int32 [2]}`, the latter (height, width) of the file.
    """
    return FittedReader(size, stretch, channels, fill)


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
    raise DataFormatError(folder, None, "there", f"be an image {name}.jpg or with another known ending", "none")
