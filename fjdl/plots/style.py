"""The one look of all figures: quiet axes, and colours that colour-blind readers tell apart."""

import colorsys
from typing import Any

import numpy as np
from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"  # Okabe & Ito 2008
INK, MUTED, GRID = "#222222", "#6B6B6B", "#E4E4E4"

SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"
NOT_FINITE = "black"

STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,  # inches
    "figure.constrained_layout.h_pad": 0.1,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 10,
    "text.color": INK,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler('color', {[VERMILION, PURPLE, GREEN, ORANGE, BLUE]})",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "lines.solid_capstyle": "round",
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "image.interpolation": "nearest",
}
"""Settings for `matplotlib.rc_context`."""

# of classes, neighbours far apart: Okabe & Ito 2008, and further ones of Tol 2021 ("bright" and "muted")
CLASSES = (
    BLUE, ORANGE, GREEN, PURPLE, VERMILION, "#56B4E9", "#F0E442", "#882255", "#44AA99", "#332288", "#DDCC77", "#AA3377",
)  # fmt: skip


def class_colours(count: int, *, background: int | None = None) -> np.ndarray:
    """A colour for each of `count` classes, uint8 [count, 3], all different up to 255; the background is black.

    Behind the first twelve come hues a golden angle apart, at three brightnesses in turn.
    """
    fixed = [[int(name[place : place + 2], 16) for place in (1, 3, 5)] for name in CLASSES]
    turns = range(max(count - len(fixed), 0))
    more = [colorsys.hls_to_rgb(0.61803 * turn % 1, (0.35, 0.55, 0.75)[turn % 3], 0.65) for turn in turns]
    colours = np.array(fixed + [[round(255 * part) for part in colour] for colour in more], np.uint8)[:count]
    if background is not None:
        colours[background] = 0
    return colours


def ink_on(colour: np.ndarray) -> str:
    """The colour of letters on a field of a colour [3] from 0 to 1: black on what is bright, white on what is dark."""
    return "black" if float(colour @ np.array([0.299, 0.587, 0.114])) > 0.55 else "white"


def colour_bar(figure: Figure, mappable: Any, axes: Any, *, label: str, **options: Any) -> None:
    """A colour bar without a frame beside the axes, named; `options` are those of `Figure.colorbar`."""
    bar = figure.colorbar(mappable, ax=axes, **options)
    bar.set_label(label)
    bar.outline.set_visible(False)
