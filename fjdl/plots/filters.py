"""Convolution kernels as small images."""

import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fjdl.plots.style import DIVERGING, MUTED, NOT_FINITE, STYLE, colour_bar
from fjdl.typing import Array, Float, typed

_GAP = 0.12  # between filters, in widths of a filter


@typed
@matplotlib.rc_context(STYLE)
def filter_grid(kernel: Float[Array, "kh kw c_in c_out"], *, title: str) -> Figure:
    """One small image for each of the `c_out` filters, all on one scale that is symmetric around 0.

    Three input channels are drawn as red, green and blue, where grey is 0; otherwise the mean over the input channels
    is drawn in diverging colours with a colour bar. A weight that is not finite is black. Raises `ValueError` for an
    empty kernel.
    """
    filters = np.moveaxis(np.asarray(kernel, np.float64), -1, 0)
    if not filters.size:
        raise ValueError(f"kernel must not be empty, got shape {kernel.shape}")
    count, kh, kw, c_in = filters.shape
    rgb = c_in == 3
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which is drawn
        images = filters if rgb else filters.mean(axis=-1)
    limit = float(np.max(np.abs(images), where=np.isfinite(images), initial=0)) or 1.0

    side = math.ceil(math.sqrt(count))
    columns = next((n for n in range(side, 2 * side + 1) if count % n == 0), side)
    pitch = kh / kw + _GAP
    width, height = (1 + _GAP) * columns - _GAP, pitch * math.ceil(count / columns) - _GAP
    inch = min(0.8, 9 / max(width, height))
    figure = Figure(figsize=(max(inch * width, 2.4) + (0.4 if rgb else 1.4), max(inch * height, 1.6) + 0.8))
    figure.suptitle(title)
    axes = figure.subplots()
    axes.axis("off")
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        _draw(axes, _as_rgb(image, limit) if rgb else image, limit, left=(1 + _GAP) * column, top=pitch * row)
    axes.set(xlim=(-0.02, width + 0.02), ylim=(height + 0.02, -0.02))
    if not rgb:
        colour_bar(
            figure,
            axes.images[0],
            axes,
            label="weight" if c_in == 1 else f"mean weight of {c_in} input channels",
            aspect=25,
        )
    return figure


def _draw(axes: Axes, image: np.ndarray, limit: float, *, left: float, top: float) -> None:
    """One filter, one unit wide, in a thin frame."""
    height = image.shape[0] / image.shape[1]
    axes.imshow(
        image,
        cmap=matplotlib.colormaps[DIVERGING].with_extremes(bad=NOT_FINITE),
        norm=Normalize(-limit, limit),
        extent=(left, left + 1, top + height, top),
    )
    axes.add_patch(Rectangle((left, top), 1, height, fill=False, edgecolor=MUTED, linewidth=0.5))


def _as_rgb(image: np.ndarray, limit: float) -> np.ndarray:
    """Weights from -limit to limit as colours from 0 to 1; a pixel with a weight that is not finite is black."""
    finite = np.isfinite(image).all(axis=-1, keepdims=True)
    return np.where(finite, 0.5 + 0.5 * np.where(finite, image, 0) / limit, 0)
