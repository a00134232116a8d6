"""Images in rows: grey or in colour, with captions that fit."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from fjdl.plots.style import MUTED, STYLE
from fjdl.typing import Array, Num, typed

INCHES = 1.5  # of one image


@typed
@matplotlib.rc_context(STYLE)
def image_grid(
    images: Num[Array, "n h w c"],
    *,
    captions: Sequence[str],
    title: str,
    note: str = "",
    columns: int | None = None,
) -> Figure:
    """Images with a caption each, in rows of `columns`, by default about as many as rows; `note` stands below them.

    One channel is drawn in grey, three in colour, from the smallest to the largest value of all. Raises `ValueError`
    for other channels, and unless there is a caption for each image and at least one image.
    """
    require_images(images, captions)
    count = len(captions)
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    figure = Figure(figsize=(max(INCHES * columns + 0.3, 4.0), 1.2 * INCHES * rows + 0.9))
    figure.suptitle(title)
    figure.supxlabel(note, color=MUTED, fontsize=9)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in cells:
        axes.axis("off")
    for axes, image, caption in zip(cells, stretched(images), captions, strict=False):
        show(axes, image, caption, size=caption_size(captions))
        axes.add_patch(
            Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor=MUTED, linewidth=0.5, clip_on=False)
        )
    return figure


def case_panels(
    captions: Sequence[str], heads: Sequence[str], *, size: tuple[int, int], title: str, note: str, inches: float
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of cases in two columns, the first half on the left, and the panels of each, which have the heads.

    A panel is `inches` wide and has the shape of an image of `size`, (height, width). The caption stands on the left.
    """
    rows, across = -(-len(captions) // 2), min(len(captions), 2)
    wide, high = inches * len(heads) * across + 1.9, inches * size[0] / size[1]
    figure = Figure(figsize=(max(wide, 4.5), (high + 0.1) * rows + 1.1))
    figure.suptitle(title)
    figure.supxlabel(note, color=MUTED, fontsize=9)
    ratios = ([1.0] * len(heads) + [0.04]) * across
    cells = figure.subplots(rows, len(ratios), squeeze=False, width_ratios=ratios)
    for axes in cells.ravel():
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    panels = []
    for number, caption in enumerate(captions):
        column, row = divmod(number, rows)
        first = column * (len(heads) + 1)
        panels.append(list(cells[row, first : first + len(heads)]))
        panels[-1][0].set_ylabel(caption, fontsize=8)
        for axes, head in zip(panels[-1] if row == 0 else [], heads, strict=False):
            axes.set_title(head, fontsize=9, pad=4)
    return figure, panels


def class_legend(figure: Figure, classes: Sequence[str], colours: np.ndarray) -> None:
    """The colour of each class on the right of a figure."""
    handles = [Patch(color=colour / 255, label=name) for name, colour in zip(classes, colours, strict=True)]
    figure.legend(handles=handles, loc="outside right upper", fontsize=8)


def require_images(images: Any, captions: Sequence[str]) -> None:
    """Raises `ValueError` unless these are images that can be drawn, with a caption each."""
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {images.shape[-1]}")
    if len(captions) != images.shape[0] or not len(captions):
        raise ValueError(f"captions must name each of the {images.shape[0]} images, got {len(captions)} captions")


def show(axes: Axes, image: np.ndarray, caption: str = "", *, size: float = 9.0) -> None:
    """An image of entries from 0 to 1, without axes."""
    axes.axis("off")
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    axes.set_title(caption, fontsize=size, pad=4)


def caption_size(captions: Sequence[str], *, inches: float = INCHES) -> float:
    """Points in which the longest caption is no wider than its image."""
    longest = max((len(line) for caption in captions for line in caption.split("\n")), default=1)
    return min(9.0, 72 * inches / (0.6 * max(longest, 1)))


def stretched(images: Any) -> np.ndarray:
    """The images from 0, their smallest value, to 1, their largest; what is not finite is 0."""
    images = np.asarray(images).astype(np.float64)
    finite = np.isfinite(images)
    low, high = (
        extreme(images, where=finite, initial=start) for extreme, start in ((np.min, np.inf), (np.max, -np.inf))
    )
    return np.where(finite, images - low, 0) / (high - low if high > low else 1)
