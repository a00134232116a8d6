"""What maps say about images: each image, and its map below it."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fjdl.plots.images import INCHES, caption_size, require_images, show, stretched
from fjdl.plots.style import DIVERGING, MUTED, NOT_FINITE, SEQUENTIAL, STYLE, VERMILION, colour_bar
from fjdl.typing import Array, Bool, Float, Num, typed

_ACROSS = 8  # images in a row
_OUTSIDE = 0.35  # how bright an image is outside of a region


@typed
@matplotlib.rc_context(STYLE)
def maps_figure(
    images: Num[Array, "n h w c"],
    maps: Float[Array, "n h_map w_map"],
    *,
    captions: Sequence[str],
    title: str,
    label: str,
    signed: bool,
    note: str = "",
) -> Figure:
    """Each image with its map below, in rows of eight, and a colour bar that is called `label`.

    Each map is drawn as a share of its own largest modulus: from -1 to 1 in diverging colours where `signed`, otherwise
    from 0 to 1. One entry of a map covers as many pixels as it stands for. An entry that is not finite is black, a map
    of zeros has the colour of 0. Raises `ValueError` as `image_grid` does.
    """
    require_images(images, captions)
    values = np.asarray(maps, np.float64)
    largest = np.max(np.abs(values), axis=(1, 2), where=np.isfinite(values), initial=0)[:, None, None]
    shares = values / np.where(largest > 0, largest, 1)
    colours = matplotlib.colormaps[DIVERGING if signed else SEQUENTIAL].with_extremes(bad=NOT_FINITE)
    scale = Normalize(-1 if signed else 0, 1)

    def below(axes: Axes, number: int) -> None:
        axes.imshow(shares[number], cmap=colours, norm=scale)

    figure, cells = _pairs(images, captions, title, note, below)
    colour_bar(figure, ScalarMappable(scale, colours), cells, label=label, aspect=30, pad=0.02, panchor=False)
    return figure


@typed
@matplotlib.rc_context(STYLE)
def regions_figure(
    images: Num[Array, "n h w c"],
    regions: Bool[Array, "n h w"],
    boxes: Float[Array, "n 4"],
    *,
    captions: Sequence[str],
    title: str,
    note: str = "",
) -> Figure:
    """Each image, and below it the image that is dark outside of its region, with the region's box in pixels.

    Raises `ValueError` as `image_grid` does.
    """
    require_images(images, captions)
    bright = stretched(images)

    def below(axes: Axes, number: int) -> None:
        inside = np.asarray(regions[number])[..., None]
        show(axes, np.where(inside, bright[number], _OUTSIDE * bright[number]))
        x0, y0, x1, y1 = np.asarray(boxes[number], np.float64) - 0.5
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=VERMILION, linewidth=1.5))

    return _pairs(images, captions, title, note, below)[0]


def _pairs(
    images: Any, captions: Sequence[str], title: str, note: str, below: Callable[[Axes, int], None]
) -> tuple[Figure, np.ndarray]:
    """A grid whose rows of images have a row of what belongs to them below each."""
    count = len(captions)
    columns = min(count, _ACROSS)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(INCHES * columns + 1.2, 5.0), 2.2 * INCHES * rows + 0.9))
    figure.suptitle(title)
    figure.supxlabel(note, color=MUTED, fontsize=9)
    cells = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in cells.ravel():
        axes.axis("off")
    for number, image in enumerate(stretched(images)):
        row, column = divmod(number, columns)
        show(cells[2 * row, column], image, captions[number], size=caption_size([captions[number]]))
        below(cells[2 * row + 1, column], number)
    return figure, cells
