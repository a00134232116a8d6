"""What was found in an image, drawn into its pixels, and the bytes of PNG files."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fjdl.plots.style import ink_on
from fjdl.typing import typed

VOID = (224, 224, 192)  # the colour of Pascal VOC's void
OPACITY = 0.5
_TALLEST = 1 / 30  # of an image is a line of text


@typed
def covered(image: np.ndarray, mask: np.ndarray, colours: np.ndarray, *, opacity: float = OPACITY) -> np.ndarray:
    """The image, uint8 [h, w, 3], with the colour of its class on each pixel, `(1 - opacity) image + opacity colour`.

    A pixel of `mask`, an integer [h, w], without a colour among `colours`, uint8 [k, 3], such as a void one, stays as
    it is, and so does one whose colour is black, as that of a background.
    """
    known = (mask >= 0) & (mask < len(colours))
    paint = colours[np.where(known, mask, 0)]
    painted = (known & paint.any(axis=-1))[..., None]
    mixed = np.rint((1 - opacity) * image + opacity * paint).astype(np.uint8)
    return np.where(painted, mixed, image)


@typed
def outlined(
    image: np.ndarray, boxes: np.ndarray, colours: np.ndarray, *, captions: Sequence[str] = (), width: int | None = None
) -> np.ndarray:
    """The image, uint8 [h, w, 3], with the outlines of boxes [k, 4] in a colour each, uint8 [k, 3], the first on top.

    A box covers the pixels that it touches, and its outline is the `width` outermost of them inside of the image, by
    default 1 for each 250 pixels of the longer side. A caption stands in a field of the box's colour above the box, or
    inside of it where there is no room.
    """
    thickness = max(round(max(image.shape[:2]) / 250), 1) if width is None else width
    drawn = image.copy()
    order = range(len(boxes) - 1, -1, -1)
    for number in order:
        _outline(drawn, _pixels(boxes[number], image.shape), colours[number], thickness)
    if not any(captions):
        return drawn
    picture = Image.fromarray(drawn)
    for number in order:
        _caption(picture, _pixels(boxes[number], image.shape), colours[number], captions[number])
    return np.asarray(picture)


@typed
def mask_png(mask: np.ndarray, colours: np.ndarray) -> bytes:
    """A PNG file of the mask, uint8 [h, w], with a palette: its values are the mask's, whatever they look like.

    Value `k` has the colour `colours[k]`, 255 that of Pascal VOC's void, and others are black. The palette has all 256
    entries, as Pillow (13.0) writes as few bits for a pixel as a shorter one needs, and values above it are lost.
    """
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours)] = colours[:256]
    palette[255] = VOID
    image = Image.fromarray(mask)
    image.putpalette(palette.tobytes())
    return _png(image)


@typed
def image_png(image: np.ndarray) -> bytes:
    """A PNG file of an image, uint8 [h, w, 3]."""
    return _png(Image.fromarray(image))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def _pixels(box: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Columns and rows `x0 ≤ x < x1`, `y0 ≤ y < y1` that a box touches, at least one of each."""
    low = np.clip(np.floor(box[:2]), 0, (shape[1] - 1, shape[0] - 1)).astype(int)
    high = np.clip(np.ceil(box[2:]), low + 1, (shape[1], shape[0])).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _outline(image: np.ndarray, pixels: tuple[int, int, int, int], colour: np.ndarray, width: int) -> None:
    x0, y0, x1, y1 = pixels
    inside = image[y0:y1, x0:x1]
    for edge in (inside[:width], inside[-width:], inside[:, :width], inside[:, -width:]):
        edge[...] = colour


def _caption(picture: Image.Image, pixels: tuple[int, int, int, int], colour: np.ndarray, text: str) -> None:
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(10, _TALLEST * max(picture.size)))
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    across, down = int(right - left) + 4, int(bottom - top) + 4
    x = max(min(pixels[0], picture.width - across), 0)
    y = pixels[1] - down if pixels[1] >= down else pixels[1]
    field = tuple(colour.tolist())
    draw.rectangle((x, y, x + across - 1, y + down - 1), fill=field)
    draw.text((x + 2 - left, y + 2 - top), text, font=font, fill=ink_on(colour / 255))
